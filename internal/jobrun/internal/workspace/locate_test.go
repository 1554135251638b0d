package workspace

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLocate(t *testing.T) {
	a := self(t)
	home := a.Home.String()
	shared := filepath.Join(home, "shared") // is alice's own here, like the home
	others := filepath.Join(home, "others")
	must(t, os.Mkdir(shared, 0o700))
	if os.Geteuid() != 0 {
		others = "/usr"
	} else {
		must(t, os.Mkdir(others, 0o755), os.Chown(others, 65533, -1))
	}
	for name, tc := range map[string]struct {
		dataDir   string
		variable  bool
		variables map[string]string
		want, why string
	}{
		"home":                      {"$HOME", false, nil, home + "/.jacamar-ci", ""},
		"below home":                {"$HOME/ci", false, nil, home + "/ci/.jacamar-ci", ""},
		"tilde":                     {"~/ci", false, nil, home + "/ci/.jacamar-ci", ""},
		"home by its path":          {home, false, nil, home + "/.jacamar-ci", ""},
		"shared":                    {"/jobs", false, nil, "/jobs/alice", ""},
		"a path with a dollar":      {"/jobs/$X", false, nil, "/jobs/$X/alice", ""},
		"relative":                  {"jobs", false, nil, "", "is not absolute"},
		"variable, own":             {"$S", true, map[string]string{"S": shared}, shared + "/.jacamar-ci", ""},
		"variable, others'":         {"$S", true, map[string]string{"S": others}, others + "/alice", ""},
		"variable, missing dir":     {"$S/x", true, map[string]string{"S": "/nowhere"}, "/nowhere/x/alice", ""},
		"variable inside":           {"/p/$S-x/${S}", true, map[string]string{"S": "q"}, "/p/q-x/q/alice", ""},
		"of the account":            {"/p/$USER/$LOGNAME", true, nil, "/p/alice/alice/alice", ""},
		"home and variable":         {"$HOME/$S", true, map[string]string{"S": "shared"}, shared + "/.jacamar-ci", ""},
		"variable without need":     {"$HOME/x", true, nil, home + "/x/.jacamar-ci", ""},
		"unset":                     {"$S/x", true, map[string]string{"S": ""}, "", "your login shell sets no S"},
		"relative value":            {"$S/x", true, map[string]string{"S": "scratch"}, "", "is not absolute"},
		"climbs":                    {"$S/x", true, map[string]string{"S": "/p/../etc"}, "", `has a ".."`},
		"newline of a profile":      {"$S/x", true, map[string]string{"S": "/p\nWelcome!"}, "", "has control characters"},
		"a variable in a variable":  {"$S", true, map[string]string{"S": "/p/$HOME"}, "/p/$HOME/alice", ""},
		"several values, first bad": {"$S/$T", true, map[string]string{"T": "x"}, "", "your login shell sets no S"},
	} {
		t.Run(name, func(t *testing.T) {
			b := order(t, a, 1).Brief
			b.Settings.DataDir, b.Settings.Storage.VariableDataDir = tc.dataDir, tc.variable
			got, err := locate(b, tc.variables)
			if got.String() != tc.want || (err == nil) != (tc.why == "") || (err != nil && !strings.Contains(err.Error(), tc.why)) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestVariables(t *testing.T) {
	b := order(t, self(t), 1).Brief
	b.Settings.Storage.VariableDataDir = true
	for dataDir, want := range map[string][]string{
		"$HOME": nil, "/jobs": nil, "$USER/$LOGNAME": nil, "$S": {"S"}, "${S}/$T/$S/$HOME": {"S", "T"},
	} {
		b.Settings.DataDir = dataDir
		if got := Variables(b); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", dataDir, got, want)
		}
	}
	b.Settings.DataDir = "$S"
	b.Dirs.Base = abs(t, "/settled")
	if got := Variables(b); got != nil {
		t.Errorf("after config: %v", got)
	}
	b = order(t, self(t), 1).Brief
	b.Settings.DataDir = "$S"
	if got := Variables(b); got != nil {
		t.Errorf("without variable_data_dir: %v", got)
	}
}

// TestSettledBaseIsUsed: what the config stage found holds for the others,
// whatever data_dir means by then.
func TestSettledBaseIsUsed(t *testing.T) {
	o := configure(t, order(t, self(t), 1))
	o.Brief.Settings.DataDir = "/elsewhere"
	if got := workspace(t, o).base.Path(); got != o.Brief.Dirs.Base || got.IsZero() {
		t.Errorf("got %v", got)
	}
}
