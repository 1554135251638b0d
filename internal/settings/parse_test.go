package settings

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/rlimit"
)

// read reads a value from its text, and returns it as text: with MarshalText or String
// where it has one.
func read[T any](text string) (string, error) {
	var v T
	if err := any(&v).(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		return "", err
	}
	if m, ok := any(v).(encoding.TextMarshaler); ok {
		b, err := m.MarshalText()
		return string(b), err
	}
	return fmt.Sprint(v), nil
}

// TestTexts: each type has values that it takes, as they are or in another form, and texts
// that it refuses with a reason.
func TestTexts(t *testing.T) {
	for _, tt := range []struct {
		read    func(string) (string, error)
		taken   map[string]string // "" for the text itself
		refused map[string]string // with the reason
	}{
		{read[Bind], map[string]string{
			"/a": "/a:/a", "/a:/b": "", "/a:/b:ro": "", "/a:/b:rw": "/a:/b", "/a//c/": "/a/c:/a/c",
		}, map[string]string{
			"": "empty", "a": "absolute", "/a:b": "absolute", "a:/b": "absolute", "/a:/b:r": "not a bind", "/a:/b:": "not a bind", "/a:/b:ro:ro": "not a bind", "/a:": "empty",
		}},
		{read[Names], map[string]string{
			"A": "", "A*": "", "A_1": "", "HOMES": "", "PATHS": "", "PATHS*": "",
		}, map[string]string{
			"": "not the name", "*": "not the name", "1A": "not the name", "A=": "not the name", "A=B": "not the name", "A**": "not the name", "A B": "not the name",
			"PATH": "the image's own", "HOME": "the image's own", "PATH*": "the image's own",
		}},
		{read[ModuleName], map[string]string{
			"cuda": "", "a-b_c.1": "", ".a": "", strings.Repeat("a", longestModuleName): "",
		}, map[string]string{
			"": "not the name", "-a": "not the name", "/": "not the name", " a": "not the name", "a,": "not the name", strings.Repeat("a", longestModuleName+1): "not the name",
		}},
		{read[DataDir], map[string]string{
			"/jobs": "", "/jobs/": "/jobs", "~": "$HOME", "~/": "$HOME", "~/x": "$HOME/x", "${HOME}": "$HOME", "${HOME}/x": "$HOME/x", "$HOME": "", "$HOME//x/": "$HOME/x",
			"$HOMEX": "", "$HOME/$X": "", "$HOMEX/y": "", "/a/$X": "", "${X}y": "", "/a/$X_9z-b": "", "$zA": "", "/$aZ_09.": "", "/$_": "", "/$X:y": "", "/$X[y]": "",
		}, map[string]string{
			"": "neither absolute", "jobs": "neither absolute", "~a": "neither absolute", "/": "root directory", "/..": `".."`, "$HOME/..": `".."`,
			"a/$X": "begins with neither", "/a/$": "begins no variable", "/a/$1": "begins no variable", "/a/${X": "begins no variable", "/a/${X/}": "begins no variable",
			"/a/$é": "begins no variable", "/a/$[": "begins no variable", "/a/$`": "begins no variable", "/a/${}": "begins no variable", "$X/..": "not a path",
		}},
		{read[Executor], map[string]string{"shell": "", "slurm": "", "sbatch": "slurm"}, map[string]string{"": "not known", "Shell": `write "shell", "`}},
		{read[Downscope], map[string]string{"setuid": "", "sudo": "", "none": ""}, map[string]string{"su": `write "setuid", "sudo" or "none"`}},
		{read[LoginShells], map[string]string{"job": "", "stage": ""}, map[string]string{"jobs": `write "job" or "stage"`}},
		{read[one], map[string]string{"a": ""}, map[string]string{"b": `"b" is not known: write "a"`}},
	} {
		for text, want := range tt.taken {
			if want == "" {
				want = text
			}
			if got, err := tt.read(text); err != nil || got != want {
				t.Errorf("%q: %q, %v, want %q", text, got, err, want)
			}
		}
		for text, want := range tt.refused {
			if got, err := tt.read(text); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %q, %v, want an error with %q", text, got, err, want)
			}
		}
	}
}

// one has one spelling.
type one string

func (o *one) UnmarshalText(b []byte) error { return Pick(o, b, []Spelling[one]{{"a", "a"}}) }

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		names    Names
		variable string
		want     bool
	}{
		{"A", "A", true},
		{"A", "AB", false},
		{"AB", "A", false},
		{"A*", "A", true},
		{"A*", "AB", true},
		{"A*", "BA", false},
		{"A*", "A*", true},
		{"P*", "PATH", false},
		{"PAT*", "PATH", false},
		{"P*", "PATHS", true},
		{"H*", "HOME", false},
		{"HOM*", "HOMES", true},
	} {
		if got := tt.names.Match(tt.variable); got != tt.want {
			t.Errorf("%s with %s: %v", tt.names, tt.variable, got)
		}
	}
}

func TestDataDirForms(t *testing.T) {
	for text, want := range map[string]struct{ below, variables bool }{
		"/jobs": {false, false}, "$HOME": {true, false}, "~/x": {true, false}, "$HOME/$X": {true, true}, "$HOMEX": {false, true}, "$HOMEX/y": {false, true},
		"/a/$HOME": {false, true}, "$X": {false, true},
	} {
		var d DataDir
		if err := d.UnmarshalText([]byte(text)); err != nil || d.BelowHome() != want.below || d.HasVariables() != want.variables {
			t.Errorf("%s: below the home %v, with variables %v, %v", text, d.BelowHome(), d.HasVariables(), err)
		}
	}
}

func TestOncePerJob(t *testing.T) {
	for l, want := range map[LoginShells]bool{LoginPerJob: true, LoginPerStage: false} {
		if l.OncePerJob() != want {
			t.Errorf("%s: %v", l, !want)
		}
	}
}

// TestLimitsSet: each limit that is set is listed by its key, and no other.
func TestLimitsSet(t *testing.T) {
	if set := (Limits{}).Set(); len(set) != 0 {
		t.Errorf("%v is set", set)
	}
	r, err := rlimit.ParseRange("10:20")
	if err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeFor[Limits]().NumField() {
		var l Limits
		reflect.ValueOf(&l).Elem().Field(i).Set(reflect.ValueOf(r))
		want := []rlimit.Limit{{Resource: reflect.TypeFor[Limits]().Field(i).Tag.Get("toml"), Range: r}}
		if got := l.Set(); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}
