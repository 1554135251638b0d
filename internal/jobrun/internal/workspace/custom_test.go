package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
)

func TestCustomBuilds(t *testing.T) {
	a := self(t)
	home := a.Home.String()
	for name, tc := range map[string]struct{ value, want, why string }{
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
		"other variable":    {"$SCRATCH/ci", "", `the variable "SCRATCH" in it is not known here`},
		"command":           {"/p/$(id)", "", `is not known here`},
		"other's home":      {"~bob/ci", "", "is not absolute"},
		"longer than paths": {"/" + strings.Repeat("a/", 4000), "", "is longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			b := order(t, a, 1).Brief
			b.Settings.Storage.CustomBuilds, b.Settings.Storage.CustomBuildDir = []byte(tc.value), true
			got, err := customBuilds(b)
			if got.String() != tc.want || (err == nil) != (tc.why == "") || (err != nil && !strings.Contains(err.Error(), tc.why)) {
				t.Errorf("%q, %v", got, err)
			}
			if err != nil && failure.KindOf(err) != failure.Build {
				t.Errorf("of kind %v: it is the job's own doing", failure.KindOf(err))
			}
			b.Settings.Storage.CustomBuildDir = false
			if got, err := customBuilds(b); !got.IsZero() || err != nil {
				t.Errorf("where the site does not allow it: %q, %v", got, err)
			}
		})
	}
}

func custom(o Order, dir string) Order {
	o.Brief.Settings.Storage.CustomBuildDir, o.Brief.Settings.Storage.CustomBuilds = true, []byte(dir)
	return o
}

func TestJobInADirectoryOfTheUsersOwn(t *testing.T) {
	a := self(t)
	dir := filepath.Join(a.Home.String(), "new", "place")
	o := configure(t, custom(order(t, a, 1), "$HOME/new/place"))
	if got := o.Brief.Dirs.Builds.String(); got != dir+"/t0ken/000" {
		t.Errorf("builds are in %s", got)
	}
	prepare(t, o)
	play(t, o)
	second := configure(t, custom(order(t, a, 2), dir))
	if slot(second) != "001" {
		t.Errorf("a second job has %s", slot(second))
	}
	cleanup(t, o)
	if got, want := files(t, dir+"/t0ken/000"), "group group/project group/project/README"; got != want {
		t.Errorf("left is %s, want %s", got, want)
	}
	if third := configure(t, custom(order(t, a, 3), dir)); slot(third) != "000" {
		t.Errorf("a third job has %s", slot(third))
	}
}

func TestDirectoriesOfOthersAreRefused(t *testing.T) {
	a := self(t)
	shared := filepath.Join(a.Home.String(), "shared")
	must(t, os.Mkdir(shared, 0o700), os.Chmod(shared, 0o777))
	cases := map[string]string{shared: "others may write it (mode 0777)", "/proc/1/x": ""}
	if os.Geteuid() == 0 {
		other := filepath.Join(a.Home.String(), "other")
		must(t, os.Mkdir(other, 0o755), os.Chown(other, 65533, -1))
		cases[other] = "owned by account 65533, not by you"
	} else {
		cases["/etc"] = "owned by root, not by you"
		cases["/nowhere"] = "permission denied"
	}
	for dir, why := range cases {
		_, err := workspace(t, custom(order(t, a, 1), dir)).Config()
		if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "CUSTOM_CI_BUILDS_DIR") || failure.KindOf(err) != failure.Build {
			t.Errorf("%s: %v", dir, err)
		}
		if exists(a.Home.String() + "/.jacamar-ci/scripts/t0ken/1") {
			t.Errorf("%s: the refused job left its scripts directory", dir)
		}
	}
}
