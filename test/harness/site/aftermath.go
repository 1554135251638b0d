package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
)

// JudgeJobs makes the test fail for each job of the site's runners that leaves files or
// processes. A test that expects these removes Judge from its runner.
func (s *Site) JudgeJobs(t testing.TB) {
	v := &verdicts{t: t}
	t.Cleanup(v.close)
	s.test = v
}

// verdicts are the test's, as long as it runs: a job may outlive it.
type verdicts struct {
	mu   sync.Mutex
	t    testing.TB
	over bool
}

// holders are the jobs that were given a directory for builds last. Tests that run at
// once have accounts, and so these directories, in common.
type holders struct{ jobs sync.Map }

func (h *holders) give(jobID int64, buildsDir string) { h.jobs.Store(buildsDir, jobID) }

// givenOn reports whether another job was given the job's directory for builds since.
// Its content belongs to that job, which is checked for it.
func (h *holders) givenOn(job fakerunner.Result) bool {
	latest, given := h.jobs.Load(job.BuildsDir)
	return given && latest != job.JobID
}

func (v *verdicts) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.over = true
}

func (v *verdicts) judge(faults []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range faults {
		if !v.over {
			v.t.Error(f)
		}
	}
}

// ignored reports whether a job may succeed although a stage of it failed: the commands of
// after_script may fail, and cleanup_file_variables may be ended by a signal or print why it
// has failed.
func ignored(c fakerunner.Call) bool {
	switch c.Stage {
	case "after_script":
		var own *fakerunner.BuildError
		return errors.As(c.Err, &own)
	case "cleanup_file_variables":
		return c.Status < 0 || strings.Contains(string(c.Stdout)+string(c.Stderr), "jacamar: ERROR: ")
	}
	return false
}

// Aftermath lists the faults of a finished job apart from its outcome: a cleanup that
// failed or printed something, a stage of a successful job that failed and whose failure the
// runner does not ignore, and files of the job that are still there.
func (s *Site) Aftermath(r *fakerunner.Runner, job fakerunner.Result, enter ...string) (faults []string) {
	last := map[string]fakerunner.Call{}
	for _, c := range job.Calls {
		last[c.Stage] = c
		// Where the configuration is unusable, both stages fail.
		config := last["config"]
		same := config.Status != 0 && config.Status == c.Status && string(config.Stderr) == string(c.Stderr)
		if c.Stage == "cleanup" && !same && (c.Status != 0 || c.StdoutCount+c.StderrCount > 0) {
			faults = append(faults, fmt.Sprintf("job %d: cleanup ended with status %d (%s) and wrote %q%q", job.JobID, c.Status, c.Failure, c.Stdout, c.Stderr))
		}
	}
	for stage, c := range last {
		if job.Outcome == fakerunner.Success && c.Status != 0 && stage != "cleanup" && !ignored(c) {
			faults = append(faults, fmt.Sprintf("job %d succeeded, and its stage %s ended with status %d: %s\n%s%s", job.JobID, stage, c.Status, c.Failure, c.Stdout, c.Stderr))
		}
	}
	// The cleanup of another job may work on the same files.
	var left []string
	if !Eventually(3*time.Second, func() bool {
		left = s.left(r, job, enter)
		return len(left) == 0
	}) {
		faults = append(faults, fmt.Sprintf("job %d left %s", job.JobID, strings.Join(left, " ")))
	}
	return faults
}

// left are the files of a job that should be removed: its scripts directory, secrets
// next to its project, and the content of the trash.
func (s *Site) left(r *fakerunner.Runner, job fakerunner.Result, enter []string) (left []string) {
	if job.CacheDir == "" || job.BuildsDir == "" {
		return nil // no config stage succeeded
	}
	v := view{s, enter}
	base := filepath.Dir(job.CacheDir)
	scripts := filepath.Join(base, "scripts", r.ShortToken)
	if retained, _ := s.settings["general"]["retain_logs"].(bool); !retained && v.has(scripts, strconv.FormatInt(job.JobID, 10)) {
		left = append(left, filepath.Join(scripts, strconv.FormatInt(job.JobID, 10)))
	}
	if v.has(filepath.Dir(job.TempProjectDir), filepath.Base(job.TempProjectDir)) && !s.install.builds.givenOn(job) {
		left = append(left, job.TempProjectDir)
	}
	for _, trash := range []string{
		filepath.Join(base, "scripts", ".trash"), filepath.Join(base, "builds", ".trash"), filepath.Join(filepath.Dir(filepath.Dir(job.BuildsDir)), ".trash"),
	} {
		for _, name := range v.names(trash) {
			left = append(left, filepath.Join(trash, name))
		}
	}
	return left
}

// view is how directories of jobs are read: by this process, or as the job's
// account by a command that enters another mount namespace.
type view struct {
	site  *Site
	enter []string
}

func (v view) has(dir, name string) bool { return slices.Contains(v.names(dir), name) }

// names lists a directory; a missing one is empty.
func (v view) names(dir string) (names []string) {
	if len(v.enter) == 0 {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return []string{err.Error()}
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	a := v.site.Account
	argv := slices.Concat(v.enter, []string{
		"/usr/bin/setpriv", fmt.Sprintf("--reuid=%d", a.UID), fmt.Sprintf("--regid=%d", a.GID), "--clear-groups", "/bin/sh", "-c", `[ ! -e "$1" ] || ls -A "$1"`, "-", dir,
	})
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return []string{fmt.Sprintf("%v: %s", err, out)}
	}
	return strings.Fields(string(out))
}
