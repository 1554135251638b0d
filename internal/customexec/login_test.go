package customexec

import (
	"slices"
	"strings"
	"testing"
)

func TestLoginTakesPlainNamesOnly(t *testing.T) {
	for _, c := range []struct {
		name, lang, tz string
		want           []string
	}{
		{"both", "de_DE.UTF-8@euro", "Europe/Berlin", []string{"LANG=de_DE.UTF-8@euro", "TZ=Europe/Berlin"}},
		{"a zone with rules", "C", "CET-1CEST,M3.5.0,M10.5.0", []string{"LANG=C", "TZ=CET-1CEST,M3.5.0,M10.5.0"}},
		{"neither", "", "", nil},
		{"a zone by its path", "C.UTF-8", "/etc/shadow", []string{"LANG=C.UTF-8"}},
		{"a zone by its path in the other form", "C.UTF-8", ":/dev/zero", []string{"LANG=C.UTF-8"}},
		{"a zone that climbs", "C.UTF-8", "Europe/../../../tmp/x", []string{"LANG=C.UTF-8"}},
		{"a zone with dots", "C.UTF-8", "..", []string{"LANG=C.UTF-8"}},
		{"a locale by its path", "/tmp/evil", "UTC", []string{"TZ=UTC"}},
		{"a format", "%n", "UTC", []string{"TZ=UTC"}},
		{"a command", "$(id)", "`id`", nil},
		{"spaces", "C UTF", " UTC", nil},
		{"a new line", "C\nX=1", "UTC\n", nil},
		{"a NUL", "C\x00", "UTC\x00", nil},
		{"the longest", strings.Repeat("a", 64), strings.Repeat("b", 65), []string{"LANG=" + strings.Repeat("a", 64)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := ParseEnviron([]string{"LANG=" + c.lang, "TZ=" + c.tz, "LC_ALL=de_DE", "LANGUAGE=de", "CUSTOM_ENV_LANG=fr_FR"})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, pair := range e.Login {
				got = append(got, pair.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
