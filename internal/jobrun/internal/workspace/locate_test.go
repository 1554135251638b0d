package workspace

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/test/harness/testutil"
)

func TestLocate(t *testing.T) {
	a := testAccount(t)
	home := a.Home.String()
	shared := filepath.Join(home, "shared") // owned by alice, like the home directory
	others := filepath.Join(home, "others")
	testutil.Must(t, os.Mkdir(shared, 0o700))
	if os.Geteuid() != 0 {
		others = "/usr"
	} else {
		testutil.Must(t, os.Mkdir(others, 0o755), os.Chown(others, 65533, -1))
	}
	for name, tt := range map[string]struct {
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
		"unset":                     {"$S/x", true, map[string]string{"S": ""}, "", "your login shell does not set S"},
		"relative value":            {"$S/x", true, map[string]string{"S": "scratch"}, "", "is not absolute"},
		"climbs":                    {"$S/x", true, map[string]string{"S": "/p/../etc"}, "", `has a ".."`},
		"newline of a profile":      {"$S/x", true, map[string]string{"S": "/p\nWelcome!"}, "", "has control characters"},
		"a variable in a variable":  {"$S", true, map[string]string{"S": "/p/$HOME"}, "/p/$HOME/alice", ""},
		"several values, first bad": {"$S/$T", true, map[string]string{"T": "x"}, "", "your login shell does not set S"},
	} {
		t.Run(name, func(t *testing.T) {
			b := options(t, a, 1).Request
			b.Settings.DataDir, b.Settings.VariableDataDir = tt.dataDir, tt.variable
			got, err := locate(b, tt.variables)
			if got.String() != tt.want || (err == nil) != (tt.why == "") || (err != nil && !strings.Contains(err.Error(), tt.why)) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestVariables(t *testing.T) {
	b := options(t, testAccount(t), 1).Request
	b.Settings.VariableDataDir = true
	for dataDir, want := range map[string][]string{
		"$HOME": nil, "/jobs": nil, "$USER/$LOGNAME": nil, "$S": {"S"}, "${S}/$T/$S/$HOME": {"S", "T"},
	} {
		b.Settings.DataDir = dataDir
		if got := Variables(b); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", dataDir, got, want)
		}
	}
	b.Settings.DataDir = "$S"
	b.Dirs.Base = testutil.AbsPath(t, "/chosen")
	if got := Variables(b); got != nil {
		t.Errorf("after config: %v", got)
	}
	b = options(t, testAccount(t), 1).Request
	b.Settings.DataDir = "$S"
	if got := Variables(b); got != nil {
		t.Errorf("without variable_data_dir: %v", got)
	}
}

// TestBaseOfTheConfigStage: later stages use the base of the config stage, whatever
// data_dir means by then.
func TestBaseOfTheConfigStage(t *testing.T) {
	o := configure(t, options(t, testAccount(t), 1))
	o.Request.Settings.DataDir = "/elsewhere"
	if got := openWorkspace(t, o).base.Path(); got != o.Request.Dirs.Base || got.IsZero() {
		t.Errorf("got %v", got)
	}
}

func TestCustomBuilds(t *testing.T) {
	a := testAccount(t)
	home := a.Home.String()
	for name, tt := range map[string]struct{ value, want, why string }{
		"unset":             {"", "", ""},
		"blank":             {" \n", "", ""},
		"absolute":          {"/p/alice/ci", "/p/alice/ci", ""},
		"not clean":         {"/p//alice/./ci/", "/p/alice/ci", ""},
		"home":              {"$HOME/ci", home + "/ci", ""},
		"home in braces":    {"${HOME}/ci", home + "/ci", ""},
		"tilde":             {"~/ci", home + "/ci", ""},
		"user":              {"/p/$USER", "/p/alice", ""},
		"relative":          {"ci", "", `CUSTOM_CI_BUILDS_DIR: the path "ci" is not absolute`},
		"climbs":            {"/p/../etc", "", `has a ".." in it`},
		"newline":           {"/p/a\nb", "", "has control characters"},
		"not UTF-8":         {"/p/\xff", "", "has control characters"},
		"other variable":    {"$SCRATCH/ci", "", `it contains the unknown variable "SCRATCH"`},
		"command":           {"/p/$(id)", "", `it contains the unknown variable`},
		"other's home":      {"~bob/ci", "", "is not absolute"},
		"longer than paths": {"/" + strings.Repeat("a/", 4000), "", "is longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			b := options(t, a, 1).Request
			b.Job.CustomBuilds, b.Settings.CustomBuildDir = []byte(tt.value), true
			got, err := customBuildsPath(b)
			if got.String() != tt.want || (err == nil) != (tt.why == "") || (err != nil && !strings.Contains(err.Error(), tt.why)) {
				t.Errorf("%q, %v", got, err)
			}
			if err != nil && failure.KindOf(err) != failure.Build {
				t.Errorf("of kind %v, want the job's failure", failure.KindOf(err))
			}
			b.Settings.CustomBuildDir = false
			if got, err := customBuildsPath(b); !got.IsZero() || err != nil {
				t.Errorf("where the site does not allow it: %q, %v", got, err)
			}
		})
	}
}

func withCustomBuilds(o Options, dir string) Options {
	o.Request.Settings.CustomBuildDir, o.Request.Job.CustomBuilds = true, []byte(dir)
	return o
}

func TestJobInACustomDirectory(t *testing.T) {
	a := testAccount(t)
	dir := filepath.Join(a.Home.String(), "new", "place")
	o := configure(t, withCustomBuilds(options(t, a, 1), "$HOME/new/place"))
	if got := o.Request.Dirs.Builds.String(); got != dir+"/t0ken/000" {
		t.Errorf("builds are in %s", got)
	}
	prepare(t, o)
	writeJobFiles(t, o)
	second := configure(t, withCustomBuilds(options(t, a, 2), dir))
	if slot(second) != "001" {
		t.Errorf("a second job has %s", slot(second))
	}
	cleanup(t, o)
	if got, want := files(t, dir+"/t0ken/000"), "group group/project group/project/README"; got != want {
		t.Errorf("left is %s, want %s", got, want)
	}
	if third := configure(t, withCustomBuilds(options(t, a, 3), dir)); slot(third) != "000" {
		t.Errorf("a third job has %s", slot(third))
	}
}

// TestDataDirInHome: the first job of an account makes a data_dir in its home, and only there.
func TestDataDirInHome(t *testing.T) {
	a := testAccount(t)
	for _, dataDir := range []string{"$HOME/ci", "$HOME/a/b", "$HOME/ci"} {
		o := options(t, a, 1)
		o.Request.Settings.DataDir = dataDir
		configure(t, o)
		for dir := strings.Replace(dataDir, "$HOME", a.Home.String(), 1); dir != a.Home.String(); dir = filepath.Dir(dir) {
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%s: %v, %v", dir, info, err)
			}
		}
	}
	linked, missing := filepath.Join(a.Home.String(), "linked"), filepath.Join(a.Home.String(), "missing")
	testutil.Must(t, os.Symlink(missing, linked))
	for name, change := range map[string]func(o *Options){
		"another place":  func(o *Options) { o.Request.Settings.DataDir = missing },
		"a link to none": func(o *Options) { o.Request.Settings.DataDir = "$HOME/linked" },
		"without a home": func(o *Options) {
			o.Request.Account.Home, o.Request.Settings.DataDir = testutil.AbsPath(t, missing), "$HOME/ci"
		},
	} {
		o := options(t, a, 1)
		change(&o)
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(missing); err == nil {
			t.Errorf("%s: it was made", name)
		}
	}
}

func TestDirectoriesOfOthersAreRefused(t *testing.T) {
	a := testAccount(t)
	shared := filepath.Join(a.Home.String(), "shared")
	testutil.Must(t, os.Mkdir(shared, 0o700), os.Chmod(shared, 0o777))
	cases := map[string]string{shared: "others may write it (mode 0777)", "/proc/1/x": ""}
	if os.Geteuid() == 0 {
		other := filepath.Join(a.Home.String(), "other")
		testutil.Must(t, os.Mkdir(other, 0o755), os.Chown(other, 65533, -1))
		cases[other] = "owned by account 65533, not by you"
	} else {
		cases["/etc"] = "owned by root, not by you"
		cases["/nowhere"] = "permission denied"
	}
	for dir, why := range cases {
		_, err := openWorkspace(t, withCustomBuilds(options(t, a, 1), dir)).Config()
		if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "CUSTOM_CI_BUILDS_DIR") || failure.KindOf(err) != failure.Build {
			t.Errorf("%s: %v", dir, err)
		}
		if exists(a.Home.String() + "/.jacamar-ci/scripts/t0ken/1") {
			t.Errorf("%s: the refused job left its scripts directory", dir)
		}
	}
}
