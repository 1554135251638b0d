package jobrun

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

// TestMeasure: cleanup measures the build directory where it is asked to.
func TestMeasure(t *testing.T) {
	r := configured(t, newRequest(t))
	project := filepath.Join(r.Dirs.Builds.String(), r.Job.Project)
	testutil.Must(t, os.MkdirAll(project, 0o700), os.WriteFile(filepath.Join(project, "data"), make([]byte, 1<<16), 0o600))
	r.Measure = time.Minute
	e := succeeds(t, ofStage(r, job.Cleanup, ""), "")
	if len(e.notes) != 1 || e.notes[0].Disk == nil || e.notes[0].Disk.Bytes < 1<<16 || e.notes[0].Disk.Files == 0 || e.notes[0].Disk.Partial {
		t.Errorf("%+v", e.notes)
	}
}

// TestEndMarked: cleanup ends what a stage has left running where jacamar-auth knows no better,
// and only then.
func TestEndMarked(t *testing.T) {
	r := configured(t, newRequest(t))
	left := orphan(t, "JACAMAR_CI_JOB=t0ken/1")
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
	if left.Gone() {
		t.Error("a process was ended without a reason")
	}
	r.MayRun = true
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
	if !left.Gone() {
		t.Errorf("process %d is left", left.PID)
	}
}

// orphan starts a process with a pair in its environment, and ends what started it: jacamar
// spares those below a process of its own program, as this one is.
func orphan(t *testing.T, pair string) proctree.Process {
	t.Helper()
	cmd := exec.Command("setsid", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!")
	cmd.Env = []string{pair, "PATH=/usr/bin:/bin"}
	text, err := cmd.Output()
	testutil.Must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	testutil.Must(t, err)
	p, ok := proctree.Find(pid)
	if !ok {
		t.Fatalf("process %d has ended", pid)
	}
	t.Cleanup(func() { _ = p.Signal(syscall.SIGKILL) })
	return p
}

// TestStillRun: a process that could not be ended is named.
func TestStillRun(t *testing.T) {
	self, _ := proctree.Find(os.Getpid())
	if err := stillRun([]proctree.Process{self}); err == nil || !strings.Contains(err.Error(), strconv.Itoa(self.PID)) || stillRun(nil) != nil {
		t.Error(err)
	}
}

// TestGhost: the cleanup of an abandoned job waits for the end of its last stage.
func TestGhost(t *testing.T) {
	r := configured(t, newRequest(t))
	succeeds(t, r, "")
	c, release := waiting(t, r)
	r.Ghost = true
	cleaning := begin(t, ofStage(r, job.Cleanup, ""), "")
	if !cleaning.isSilent(time.Second) {
		t.Error("the cleanup has ended before the stage")
	}
	release()
	if e := c.end(); e.result.Failed() {
		t.Errorf("%+v\n%s", e.result, e.log)
	}
	if e := cleaning.end(); e.result.Failed() {
		t.Errorf("%+v", e.result)
	}
	if _, err := os.Stat(r.Dirs.Scripts.String()); err == nil {
		t.Error("the job's scripts are left")
	}
}

// TestNotAbandoned: the cleanup of another job waits for no stage.
func TestNotAbandoned(t *testing.T) {
	r := configured(t, newRequest(t))
	succeeds(t, r, "")
	c, release := waiting(t, r)
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
	release()
	c.end()
}
