package briefing

import (
	"reflect"
	"strings"
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/ipc"
)

// TestEveryKeyOfDirectoriesIsHandedOver sets each key by itself and looks for the
// one thing that it changes.
func TestEveryKeyOfDirectoriesIsHandedOver(t *testing.T) {
	keys := reflect.TypeFor[config.Directories]()
	for i := range keys.NumField() {
		var g config.General
		field := reflect.ValueOf(&g.Directories).Elem().Field(i)
		switch field.Kind() {
		case reflect.Bool:
			field.SetBool(true)
		default:
			field.SetInt(3)
		}
		if changed := changes(storage(config.General{}, environ(t)), storage(g, environ(t))); changed != 1 {
			t.Errorf("%s changes %d things", keys.Field(i).Name, changed)
		}
	}
}

func changes(a, b ipc.Storage) (count int) {
	before, after := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range before.NumField() {
		if !reflect.DeepEqual(before.Field(i).Interface(), after.Field(i).Interface()) {
			count++
		}
	}
	return count
}

func TestWhatTheJobAsksForIsCarried(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "/p/alice": "/p/alice", "not\nUTF-8 \xff": "not\nUTF-8 \xff", strings.Repeat("x", longestPath+5): strings.Repeat("x", longestPath),
	} {
		env := environ(t, "CUSTOM_ENV_CUSTOM_CI_BUILDS_DIR="+value, "CUSTOM_ENV_PATH="+value)
		if got := string(Settings(site(t), env).Storage.CustomBuilds); got != want {
			t.Errorf("%.20q became %.20q", value, got)
		}
		if got := string(Source{Env: env}.job().Path); got != value {
			t.Errorf("the path %.20q became %.20q", value, got)
		}
	}
}
