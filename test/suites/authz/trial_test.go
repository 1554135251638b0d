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

// everything lists what is below the directories, to compare it later, except the trash
// itself: a cleanup leaves or removes the empty directory.
func everything(t *testing.T, dirs ...string) (paths []string) {
	t.Helper()
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && filepath.Base(path) != ".trash" {
				paths = append(paths, path)
			}
			return nil
		})
	}
	return paths
}

// trialDirs are the directories of trials that were killed or not cleaned up.
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
			testutil.Must(t, testutil.WriteProgram(file, []byte("exit 0\n"), 0o755))
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

// TestExplainUser: a decision about a user that the command line describes is made by the
// site's rules, and not by a claim that the administrator had to invent.
func TestExplainUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: as another account all jobs have its own")
	}
	t.Parallel()
	s := newSibling(t, func(c site.Config) {
		c.Set("auth", "project_allowlist", []string{"hpc/**"})
		c.Set("auth", "protected_refs_only", true)
		c.Set("auth", "runner_ids", []int{5})
	})
	explain := func(args ...string) (string, int) {
		return admin(t, append([]string{s.Admin, "explain", "--configuration", s.ConfigFile}, args...)...)
	}
	for name, tc := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"allowed":         {[]string{"--user", s.Account.Name, "--project", "hpc/a/b"}, 0, "the job may run"},
		"another project": {[]string{"--user", s.Account.Name, "--project", "other/b"}, 1, "By        project"},
		"root":            {[]string{"--user", "root", "--project", "hpc/a"}, 1, "By        root"},
		"unknown":         {[]string{"--user", "jci-no-such-user", "--project", "hpc/a"}, 1, "By        account_unknown"},
	} {
		out, status := explain(tc.args...)
		if status != tc.status || !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(tc.want), " ")) {
			t.Errorf("%s: status %d\n%s", name, status, out)
		}
	}
	claims := filepath.Join(s.Dir, "claims.json")
	testutil.Must(t, os.WriteFile(claims, []byte(`{"user_login": "root", "user_id": "1", "project_path": "hpc/project", "project_id": "12",
 "namespace_id": "3", "pipeline_id": "4", "job_id": "5", "pipeline_source": "push", "ref": "main", "ref_protected": "true"}`), 0o600))
	if out, status := explain("--claims", claims); status != 1 || !strings.Contains(strings.Join(strings.Fields(out), " "), "By root") {
		t.Errorf("claims without an issuer: status %d\n%s", status, out)
	}
}

// TestConfigEffective: the output is a configuration of the same effect.
func TestConfigEffective(t *testing.T) {
	t.Parallel()
	s := newSibling(t)
	out, status := admin(t, s.Admin, "config", "--effective", "--configuration", s.ConfigFile)
	if status != 0 || !strings.Contains(out, "shell_path = \"/bin/bash\"  # default") || !strings.Contains(out, "kill_timeout = \"5s\"  # line ") {
		t.Fatalf("status %d\n%s", status, out)
	}
	again := filepath.Join(s.Dir, "again.toml")
	testutil.Must(t, os.WriteFile(again, []byte(out), 0o644))
	second, status := admin(t, s.Admin, "config", "--effective", "--configuration", again)
	stripped := func(text string) (lines []string) {
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "  # ")
			if !strings.HasPrefix(line, "#") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return lines
	}
	if status != 0 || !slices.Equal(stripped(out), stripped(second)) {
		t.Errorf("status %d\n%s", status, second)
	}
	if out, status := admin(t, s.Admin, "config", "--json", "--configuration", s.ConfigFile); status != 0 || strings.Contains(out, `"default"`) || !strings.Contains(out, `"line"`) {
		t.Errorf("status %d\n%s", status, out)
	}
}
