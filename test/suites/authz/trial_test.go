package authz

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// everything lists what is below the directories, to compare it later.
func everything(t *testing.T, dirs ...string) (paths []string) {
	t.Helper()
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				paths = append(paths, path)
			}
			return nil
		})
	}
	return paths
}

// trialDirs are those that a killed or careless trial would leave.
func trialDirs(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("/run/jacamar-selftest-*")
	testutil.Must(t, err)
	return found
}

// TestSelfTest runs a job of its own in every deployment: all stages succeed, as the
// account that was named, and nothing is left of it anywhere.
func TestSelfTest(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it becomes other accounts")
	}
	deployments := slices.DeleteFunc(append(site.Deployments(), site.Shared()), func(d site.Deployment) bool { return d.Name == "no-auth" || d.Name == "user" })
	for _, d := range deployments {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t)
			runs := s.Account.Name
			if !d.Changes {
				runs = s.Service().Name
			}
			home := filepath.Join("/", strings.TrimPrefix(s.Account.Home, "/"))
			before := everything(t, home, s.Dir)
			out, status := admin(t, s.Admin, "selftest", "--configuration", s.ConfigFile, "--account", s.Account.Name)
			if status != 0 || !strings.Contains(out, "a job ran as "+runs+" through all stages; nothing of it is left") {
				t.Errorf("status %d:\n%s", status, out)
			}
			for _, stage := range []string{"config", "prepare", "prepare_script", "build_script", "cleanup_file_variables", "cleanup"} {
				if !strings.Contains(out, "ok    "+stage+" ") {
					t.Errorf("no stage %s", stage)
				}
			}
			if after := everything(t, home, s.Dir); !slices.Equal(before, after) {
				t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
			if left := trialDirs(t); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// TestCheckAccount: what a job would meet and no look at files finds.
func TestCheckAccount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it becomes other accounts")
	}
	scratch := func(t *testing.T, s *site.Site, mode, parent os.FileMode) string {
		dir := filepath.Join(s.Dir, "scratch", "ci")
		testutil.Must(t, os.MkdirAll(dir, 0o755))
		testutil.Must(t, os.Chmod(dir, mode), os.Chmod(filepath.Dir(dir), parent))
		return dir
	}
	for name, tc := range map[string]struct {
		change func(*testing.T, *site.Site, site.Config)
		result string
		want   string
	}{
		"all is well": {func(*testing.T, *site.Site, site.Config) {}, "ok", "ran through all stages as "},
		"a directory above is closed": {func(t *testing.T, s *site.Site, c site.Config) {
			c.Set("general", "data_dir", scratch(t, s, 0o1777, 0o700))
		}, "fail", "fails in config: "},
		"no directory of its own": {func(t *testing.T, s *site.Site, c site.Config) {
			c.Set("general", "data_dir", scratch(t, s, 0o755, 0o755))
		}, "fail", "fails in config: "},
		"root_dir_creation makes it": {func(t *testing.T, s *site.Site, c site.Config) {
			c.Set("general", "data_dir", scratch(t, s, 0o755, 0o755))
			c.Set("auth", "root_dir_creation", true)
		}, "ok", "ran through all stages as "},
		"another shell": {func(_ *testing.T, _ *site.Site, c site.Config) { c.Set("general", "shell_path", "/bin/dash") }, "fail", "fails in "},
		"a blocked account": {func(_ *testing.T, s *site.Site, c site.Config) {
			c.Set("auth", "user_blocklist", []string{s.Account.Name})
		}, "fail", "fails in config: "},
		"a script that is none": {func(t *testing.T, s *site.Site, c site.Config) {
			file := filepath.Join(s.Dir, "validate")
			testutil.Must(t, os.WriteFile(file, []byte("exit 0\n"), 0o755))
			testutil.Must(t, os.Chmod(file, 0o755))
			c.Set("auth", "runas", site.Table{"validation_script": file})
		}, "fail", "fails in config: "},
		"projects of others": {func(_ *testing.T, _ *site.Site, c site.Config) {
			c.Set("auth", "project_allowlist", []string{"hpc/*"})
		}, "ok", "ran through all stages as "},
		"no such batch system": {func(_ *testing.T, _ *site.Site, c site.Config) {
			c.Set("general", "executor", "slurm")
			c.Set("batch", "scheduler_bin", "/nonexistent")
			c.Set("batch", "cancel_grace", "1s")
		}, "fail", "fails in config: cannot use the executor"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSibling(t)
			testutil.Must(t, s.Reconfigure(func(c site.Config) { tc.change(t, s, c) }))
			out, _ := admin(t, s.Admin, "check", "--json", "--configuration", s.ConfigFile, "--account", s.Account.Name)
			got := trialLine(t, out)
			if got.Result != tc.result || !strings.Contains(got.Text, tc.want) || (got.Result == "ok") != (got.Fix == "") {
				t.Errorf("%+v", got)
			}
			if left := trialDirs(t); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			s.NoProcess(t, 20*time.Second)
		})
	}
}

// trialLine is the worst finding about the trial in a report as JSON.
func trialLine(t *testing.T, out string) (worst finding) {
	t.Helper()
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, l := range r.Lines {
		if l.Check == "trial" && (worst.Check == "" || l.Result == "fail") {
			worst = l
		}
	}
	return worst
}

// TestTrialIsCleanedUp: a trial that is interrupted in the middle of its script leaves
// nothing either.
func TestTrialIsCleanedUp(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it becomes other accounts")
	}
	s := newSibling(t)
	profile := filepath.Join(s.Account.Home, ".bash_profile")
	testutil.Must(t, os.WriteFile(profile, []byte("sleep 600 &\nwait\n"), 0o644))
	t.Cleanup(func() { os.Remove(profile) })
	before := everything(t, s.Account.Home, s.Dir)
	out, status := admin(t, "/usr/bin/timeout", "--signal=INT", "3", s.Admin, "selftest", "--configuration", s.ConfigFile, "--account", s.Account.Name)
	if status != 124 {
		t.Errorf("status %d:\n%s", status, out)
	}
	if after := everything(t, s.Account.Home, s.Dir); !slices.Equal(before, after) {
		t.Errorf("%s\nbefore:\n%s\nafter:\n%s", out, strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if left := trialDirs(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	s.NoProcess(t, 20*time.Second)
}
