package fakerunner_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
)

func TestCleanupOutputIsNotInTheTrace(t *testing.T) {
	r := newRunner(t, on{"cleanup": "echo to-debug; echo to-warning >&2", "run": "exit 0"}).Run(newJob())
	c := call(t, r, "cleanup")
	if string(c.Stdout) != "to-debug\n" || string(c.Stderr) != "to-warning\n" {
		t.Errorf("cleanup printed %q and %q", c.Stdout, c.Stderr)
	}
	if strings.Contains(r.Trace, "to-") {
		t.Errorf("the trace has it:\n%s", r.Trace)
	}
}

func TestJobEndsAfterCleanup(t *testing.T) {
	gate := t.TempDir() + "/gate"
	runner := newRunner(t, on{"cleanup": `echo up; while [ ! -e "$GATE" ]; do read -t 0.02 <> <(:); done`, "run": "exit 0"})
	runner.Environ = append(runner.Environ, "GATE="+gate)
	e := runner.Start(newJob())
	if err := e.AwaitOutput(soon(t), "cleanup", "up"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.Done():
		t.Error("the job is reported before cleanup has ended")
	default:
	}
	touch(t, gate)
	outcome(t, e.Wait(), fakerunner.Success)
}

func TestCleanupHasItsOwnTimeout(t *testing.T) {
	runner := newRunner(t, on{"run": inStage("build_script", forever), "cleanup": "trap 'echo asked; exit 0' TERM; echo up; " + forever})
	runner.Custom.CleanupTimeout = 2 * settled
	j := newJob()
	j.Timeout = settled
	r := runner.Run(j)
	outcome(t, r, fakerunner.Timeout)
	c := call(t, r, "cleanup")
	if string(c.Stdout) != "up\nasked\n" || c.Status != 0 {
		t.Errorf("cleanup printed %q and ended with %d", c.Stdout, c.Status)
	}
}

func TestHungCleanupIsKilled(t *testing.T) {
	runner := newRunner(t, on{"cleanup": "trap '' TERM; " + forever, "run": "exit 0"})
	runner.Custom.CleanupTimeout, runner.Custom.GracefulKill = settled, 100*time.Millisecond
	r := runner.Run(newJob())
	outcome(t, r, fakerunner.Success)
	if c := call(t, r, "cleanup"); c.Signal != syscall.SIGKILL {
		t.Errorf("cleanup ended with %d, %v", c.Status, c.Signal)
	}
}

// TestFileVariablesStayWithoutTheirCleanup shows what only cleanup_exec can
// remove: after a timeout the runner's own stage for it does not run.
func TestFileVariablesStayWithoutTheirCleanup(t *testing.T) {
	j := newJob("echo up; sleep 1000")
	j.Variables = append(j.Variables, fakerunner.Variable{Key: "SECRET_FILE", Value: "s", File: true})
	for name, stop := range map[string]bool{"after success they are gone": false, "after an abort they stay": true} {
		t.Run(name, func(t *testing.T) {
			job := j
			if !stop {
				job.Script = []string{"true"}
			}
			e := newRunner(t, nil).Start(job)
			if stop {
				if err := e.AwaitOutput(soon(t), "build_script", "up"); err != nil {
					t.Fatal(err)
				}
				e.Abort()
			}
			r := e.Wait()
			_, err := os.Stat(filepath.Join(r.TempProjectDir, "SECRET_FILE"))
			if stop != (err == nil) {
				t.Errorf("stat: %v", err)
			}
		})
	}
}
