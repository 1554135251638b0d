package jobrun

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/test/harness/testutil"
)

// TestPrepareOfNoJob: no line about where the job runs, for one that does not.
func TestPrepareOfNoJob(t *testing.T) {
	r := configured(t, newRequest(t))
	r.Job.Temp = testutil.AbsPath(t, r.Dirs.Builds.String()+".tmp")
	if e := serve(t, r, ""); e.result.Kind != "build" || !strings.Contains(e.result.Reason, "GIT_CLONE_PATH") || strings.Contains(e.log, "Running as") {
		t.Errorf("%+v\n%s", e.result, e.log)
	}
}

// TestPrepareWarns: each condition that would cause a less obvious error later has a line at the
// top of the job's log, and is not there without the condition.
func TestPrepareWarns(t *testing.T) {
	base := configured(t, newRequest(t))
	for name, tt := range map[string]struct {
		change func(*ipc.Request)
		want   string
	}{
		"the site's message":              {func(r *ipc.Request) { r.Settings.Message = "one\ntwo\n" }, "two"},
		"a directory of the job's choice": {func(r *ipc.Request) { r.Job.CustomBuilds = []byte("/x") }, "CUSTOM_CI_BUILDS_DIR has no effect"},
		"a misspelt variable": {func(r *ipc.Request) {
			r.Job.Misspelt = []ipc.Misspelt{{Name: "SCHEDULER_PARAMETER", Meant: "SCHEDULER_PARAMETERS"}}
		}, "SCHEDULER_PARAMETER has no effect: the name of the variable is SCHEDULER_PARAMETERS"},
		"no gitlab-runner":            {func(r *ipc.Request) { r.Job.Helper, r.Job.Path = true, []byte("/nonexistent:relative") }, "gitlab-runner is not in your PATH"},
		"no step-runner":              {func(r *ipc.Request) { r.Job.StepRunner, r.Job.Path = true, []byte("/nonexistent") }, "step-runner is not in your PATH"},
		"an image without containers": {func(r *ipc.Request) { r.Job.Image = true }, "image: has no effect on this resource"},
		"services without containers": {func(r *ipc.Request) { r.Job.Services = true }, "services: has no effect on this resource"},
	} {
		r := base
		tt.change(&r)
		if log := succeeds(t, r, "").log; !strings.Contains(log, tt.want) {
			t.Errorf("%s: %s", name, log)
		}
	}
	for name, change := range map[string]func(*ipc.Request){
		"a directory that the site allows": func(r *ipc.Request) { r.Job.CustomBuilds, r.Settings.CustomBuildDir = []byte("/x"), true },
		"a blank choice":                   func(r *ipc.Request) { r.Job.CustomBuilds = []byte(" \n") },
		"a path without need":              func(r *ipc.Request) { r.Job.Path = []byte("/nonexistent") },
	} {
		r := base
		change(&r)
		if log := succeeds(t, r, "").log; strings.Contains(log, "WARNING") {
			t.Errorf("%s: %s", name, log)
		}
	}
}

// TestProgramsOfTheRunner: gitlab-runner is looked for in the job's own PATH, or else in that of
// the login shell.
func TestProgramsOfTheRunner(t *testing.T) {
	r := configured(t, newRequest(t))
	bin := filepath.Join(r.Account.Home.String(), "bin")
	testutil.Must(t, os.Mkdir(bin, 0o700))
	r.Job.Helper = true
	profile := filepath.Join(r.Account.Home.String(), ".bash_profile")
	for _, tt := range []struct {
		name, path, profile string
		mode                os.FileMode
		warned              bool
	}{
		{"in the job's PATH", "/nonexistent:" + bin, "", 0o700, false},
		{"not executable", bin, "", 0o600, true},
		{"in the login's PATH", "", "PATH=$PATH:" + bin, 0o700, false},
		{"not in the login's PATH", "", "PATH=/usr/bin:/bin", 0o700, true},
		{"where the login fails", "", "exec true", 0o700, false},
	} {
		testutil.Must(t, os.RemoveAll(filepath.Join(bin, "gitlab-runner")), os.WriteFile(filepath.Join(bin, "gitlab-runner"), nil, tt.mode),
			os.WriteFile(profile, []byte("unset BASH_ENV\n"+tt.profile+"\n"), 0o600))
		r.Job.Path = []byte(tt.path)
		if log := succeeds(t, r, "").log; strings.Contains(log, "gitlab-runner is not in your PATH") != tt.warned {
			t.Errorf("%s: %s", tt.name, log)
		}
	}
	testutil.Must(t, os.Remove(filepath.Join(bin, "gitlab-runner")), os.Mkdir(filepath.Join(bin, "gitlab-runner"), 0o700))
	if r.Job.Path = []byte(bin); !strings.Contains(succeeds(t, r, "").log, "gitlab-runner is not in your PATH") {
		t.Error("a directory counts as a program")
	}
}

// TestVariablesOfDataDir: they are those of the login shell.
func TestVariablesOfDataDir(t *testing.T) {
	r := newRequest(t)
	home := r.Account.Home.String()
	profile := filepath.Join(home, ".bash_profile")
	r.Settings.DataDir, r.Settings.VariableDataDir = "$SCRATCH/$TEAM", true
	testutil.Must(t, os.WriteFile(profile, []byte("unset BASH_ENV; export SCRATCH="+home+"/scratch TEAM=blue\n"), 0o600), os.MkdirAll(filepath.Join(home, "scratch/blue"), 0o700))
	if base := configured(t, r).Dirs.Base.String(); !strings.HasPrefix(base, home+"/scratch/blue") {
		t.Error(base)
	}
	testutil.Must(t, os.WriteFile(profile, []byte("exec true\n"), 0o600))
	if e := serve(t, r, ""); e.result.Kind != "system" || !strings.HasPrefix(e.result.Reason, "cannot find the directory for your jobs, $SCRATCH/$TEAM: ") || !e.result.Dirs.Base.IsZero() {
		t.Errorf("%+v", e.result)
	}
}

// TestBlankPath: only a job that uses caches is warned of a blank.
func TestBlankPath(t *testing.T) {
	r := newRequest(t)
	r.Settings.DataDir = filepath.Join(r.Account.Home.String(), "a b")
	testutil.Must(t, os.Mkdir(r.Settings.DataDir, 0o700))
	r = configured(t, r)
	for helper, warned := range map[bool]bool{true: true, false: false} {
		r.Job.Helper, r.Job.Path = helper, []byte("/nonexistent")
		if log := succeeds(t, r, "").log; strings.Contains(log, "contains a blank") != warned {
			t.Error(log)
		}
	}
	for name, dirs := range map[string]ipc.Dirs{
		"builds": {Builds: testutil.AbsPath(t, "/a b"), Cache: testutil.AbsPath(t, "/c")},
		"cache":  {Builds: testutil.AbsPath(t, "/a"), Cache: testutil.AbsPath(t, "/c d")},
	} {
		if !hasBlankPath(ipc.Request{Job: ipc.Job{Helper: true}, Dirs: dirs}) {
			t.Error(name)
		}
	}
}

// TestLeftovers: the log of a later job has what earlier ones could not remove, up to a number.
func TestLeftovers(t *testing.T) {
	for n, want := range []int{0, 1, 2, 3, 4, 4} {
		file, err := os.Create(filepath.Join(t.TempDir(), "log"))
		testutil.Must(t, err)
		showLeftovers(joblog.NewWriter(file), slices.Repeat([]ipc.Leftover{{Path: "/x", Reason: "cannot remove /x"}}, n))
		text, err := os.ReadFile(file.Name())
		testutil.Must(t, err, file.Close())
		if got := strings.Count(string(text), "\n"); got != want || strings.Contains(string(text), fmt.Sprintf(": %d more files", n-3)) != (n > 3) {
			t.Errorf("%d: %s", n, text)
		}
	}
}
