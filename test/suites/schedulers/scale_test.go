package schedulers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestNoOtherProcessIsExamined: a stage costs the same on a node with ten thousand processes
// of others. A job that ends, one that leaves a process behind and one that is cancelled
// read nothing of a process that is not of the job, on the shell and with a batch system.
func TestNoOtherProcessIsExamined(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("there is no strace on PATH")
	}
	c := fakeCluster(t, "slurm")
	for name, s := range map[string]*site.Site{"shell": site.New(t), "slurm": c.site(t)} {
		t.Run(name, func(t *testing.T) {
			leave := "setsid sleep 1000 > /dev/null 2>&1 & "
			if name == "slurm" {
				leave = "" // a batch system ends what is left, and the fake one does not
			}
			for _, tt := range []struct {
				name, script string
				cancel       bool
				outcome      fakerunner.Outcome
			}{
				{"ends", "echo ready", false, fakerunner.Success},
				{"leaves a process", leave + "echo ready", false, fakerunner.Success},
				{"is cancelled", leave + "echo ready; sleep 1000", true, fakerunner.Canceled},
			} {
				t.Run(tt.name, func(t *testing.T) {
					stranger := exec.Command("/bin/sleep", "1000")
					if err := stranger.Start(); err != nil {
						t.Fatal(err)
					}
					defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
					trace := filepath.Join(s.Dir, "opened")
					r := s.RunnerInside("strace", "-f", "-qq", "-A", "-o", trace, "-e", "trace=open,openat,openat2")
					e := r.Start(newJob(s, tt.script))
					if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
						t.Fatalf("%v\n%s", err, e.Trace())
					}
					if tt.cancel {
						e.Cancel()
					}
					site.Want(t, e.Wait(), tt.outcome, 0)
					examined(t, trace, stranger.Process.Pid)
					s.NoProcess(t, 20*time.Second)
				})
			}
		})
	}
}

var ofProcess = regexp.MustCompile(`"/proc/\d+/`)

// examined fails where a trace has a file of the process, or none of any process.
func examined(t *testing.T, trace string, pid int) {
	t.Helper()
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if !ofProcess.Match(text) {
		t.Errorf("no file of any process is in the trace of %d bytes", len(text))
	}
	if n := strings.Count(string(text), fmt.Sprintf(`"/proc/%d/`, pid)); n > 0 {
		t.Errorf("another process was examined %d times", n)
	}
	if err := os.Remove(trace); err != nil {
		t.Fatal(err)
	}
}
