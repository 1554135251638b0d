package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// profile gives the job's account a login profile for the time of a test.
func profile(t *testing.T, s *site.Site, text string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the home of an ordinary user who runs the tests is not ours to change")
	}
	file := filepath.Join(s.Account.Home, ".bash_profile")
	was, absent := os.ReadFile(file)
	testutil.Must(t, os.WriteFile(file, []byte(text), 0o644), os.Chown(file, int(s.Account.UID), int(s.Account.GID)))
	t.Cleanup(func() {
		if absent != nil {
			testutil.Must(t, os.Remove(file))
			return
		}
		testutil.Must(t, os.WriteFile(file, was, 0o644))
	})
}

// TestVariableDataDir has the data directory named by a variable that only the
// user's profile sets, and profiles that print, fail and exit.
func TestVariableDataDir(t *testing.T) {
	s := site.New(t)
	scratch := filepath.Dir(dataDir(t, s))
	testutil.Must(t, s.Reconfigure(func(c site.Config) {
		c.Set("general", "variable_data_dir", true)
		c.Set("general", "data_dir", "$SCRATCH")
	}))
	set := "export SCRATCH='" + scratch + "'\n"
	for name, tc := range map[string]struct{ profile, fails string }{
		"plain":                   {set, ""},
		"prints a banner":         {"printf 'Welcome!\\n\\033[1mQuota: 3/50\\033[0m\\n'; echo and here >&2\n" + set + "echo bye\n", ""},
		"prints without an end":   {set + "printf '%s' \"$SCRATCH\"\n", ""},
		"prints a megabyte":       {set + "head -c 1000000 /dev/zero | tr '\\0' x\n", ""},
		"reads its input":         {"cat; read -t 1 x\n" + set, ""},
		"fails at its end":        {set + "false\n", ""},
		"sets errexit and fails":  {set + "set -e; true\n", ""},
		"exits with 1":            {set + "exit 1\n", ""},
		"exits with 0":            {set + "exit 0\n", ""},
		"exits before":            {"exit 1\n" + set, "your login"},
		"sets nothing":            {"true\n", "your login shell does not set SCRATCH"},
		"sets a relative path":    {"export SCRATCH=here\n", `the path "here" is not absolute`},
		"climbs":                  {"export SCRATCH=/tmp/../etc\n", `has a ".." in it`},
		"sets two lines":          {"export SCRATCH=$'" + scratch + "\\n/etc'\n", "has control characters"},
		"another one's directory": {"export SCRATCH=/root\n", "/root/"},
		"one that is missing":     {"export SCRATCH=" + scratch + "/no/where\n", "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			profile(t, s, tc.profile)
			r := s.Runner().Run(s.Job("true"))
			if tc.fails == "" {
				site.Want(t, r, fakerunner.Success, 0)
				if !strings.HasPrefix(r.BuildsDir, scratch+"/"+s.Account.Name+"/builds/") {
					t.Errorf("builds are in %q", r.BuildsDir)
				}
				return
			}
			site.Want(t, r, fakerunner.SystemFailure, 0)
			site.Shows(t, r, tc.fails)
			if call, _ := r.Call("config"); len(call.Stdout) > 0 {
				t.Errorf("config printed %q", call.Stdout)
			}
		})
	}
}

// TestCustomBuildsDir (C1) runs jobs that choose their directory for builds.
func TestCustomBuildsDir(t *testing.T) {
	s := site.New(t)
	base := dataDir(t, s, func(c site.Config) { c.Set("general", "custom_build_dir", true) })
	usual, own := base+"/builds/", filepath.Join(base, "own", "place")
	for name, tc := range map[string]struct{ value, builds, fails string }{
		"empty":     {"", usual, ""},
		"blank":     {"  ", usual, ""},
		"absolute":  {own, own + "/", ""},
		"relative":  {"builds", "", `the path "builds" is not absolute`},
		"climbs":    {own + "/../../x", "", `has a ".." in it`},
		"newline":   {own + "\n/etc", "", "has control characters"},
		"another's": {"/root/builds", "", "cannot use CUSTOM_CI_BUILDS_DIR"},
		"all's":     {"/tmp", "", "cannot use CUSTOM_CI_BUILDS_DIR"},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.Runner().Run(site.WithVariable(s.Job("true"), "CUSTOM_CI_BUILDS_DIR", tc.value))
			if tc.fails == "" {
				site.Want(t, r, fakerunner.Success, 0)
				if !strings.HasPrefix(r.BuildsDir, tc.builds) {
					t.Errorf("builds are in %q, want them in %q", r.BuildsDir, tc.builds)
				}
				return
			}
			site.Want(t, r, fakerunner.ScriptFailure, 1)
			site.Shows(t, r, tc.fails)
		})
	}
}

// TestGitClonePath: where the runner permits it, a job moves its project within the build
// directory, and is refused where the project would be that directory.
func TestGitClonePath(t *testing.T) {
	s := site.New(t)
	r := s.Runner()
	r.CustomBuildDir = true
	moved := func(path string) fakerunner.Result {
		j := site.WithVariable(s.Job(`cat "$KEY_FILE"`), "GIT_CLONE_PATH", path)
		j.Variables = append(j.Variables, fakerunner.Variable{Key: "KEY_FILE", Value: "its key", File: true})
		return r.Run(j)
	}
	refused := moved("$CI_BUILDS_DIR")
	site.Want(t, refused, fakerunner.ScriptFailure, 1, "cannot use GIT_CLONE_PATH: it is the build directory itself", "for example $CI_BUILDS_DIR/sources")
	if _, err := os.Lstat(refused.BuildsDir + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("next to the build directory: %v", err)
	}
	site.Want(t, moved("$CI_BUILDS_DIR/sources"), fakerunner.Success, 0, "its key")
	site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
}
