package ending

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestEveryProcessOfTheAccountIsKilled: a job kills all other processes of its account
// without pause, jacamar among them, and all that is started as the account. A service that
// may signal the account ends it. Behind sudo the stage fails in time, and names it.
func TestEveryProcessOfTheAccountIsKilled(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: an ordinary account would kill this test")
	}
	program := compiled(t, "rampage")
	for _, d := range site.Deployments() {
		if !d.Root {
			continue // the runner is one of the processes
		}
		if testing.Short() && d.Name != "sudo" {
			continue
		}
		t.Run(d.Name, func(t *testing.T) { // one after the other: they have one account
			rampage(t, d.Open(t, quick), program, d.Name != "sudo")
		})
	}
}

// rampage runs the program in a job. It reports ended, whether the program must have ended
// with the stage; before the cleanup this test ends it as an administrator would.
func rampage(t *testing.T, s *site.Site, program string, ended bool) {
	job := s.Job()
	command := fmt.Sprintf("%s %d", program, job.ID)
	job.Raw = map[string][]byte{"build_script": fmt.Appendf(nil, "%s\nsleep 1000\n", command)}
	r, left := s.Runner(), 0
	r.Hooks.Ended = func(c fakerunner.Call) {
		if c.Stage == "build_script" {
			left = signalAll(t, func(p site.Process) bool { return p.Command == command }, syscall.SIGKILL)
		}
	}
	res := r.Run(job)
	call, _ := res.Call("build_script")
	t.Logf("the stage took %v and left %d", call.Duration, left)
	if named := strings.Contains(res.Trace, "could not be ended") && strings.Contains(res.Trace, "rampage (pid "); left > 0 != named || left > 0 && ended {
		t.Errorf("left %d, reported: %v; the log:\n%s", left, named, res.Trace)
	}
	if res.Outcome != fakerunner.SystemFailure || call.Duration > 40*time.Second {
		t.Errorf("ended as %s after %v; the log:\n%s", res.Outcome, call.Duration, res.Trace)
	}
	if c, _ := res.Call("cleanup"); c.Status != 0 {
		t.Errorf("the cleanup failed: %s", c.Stderr)
	}
	site.NoProcess(t, 20*time.Second, ours(s))
}

// signalAll signals processes as root, and returns how many there were; 0 only counts them.
func signalAll(t *testing.T, match site.Match, signal syscall.Signal) int {
	t.Helper()
	found, err := site.Find(match)
	if err != nil {
		t.Error(err)
	}
	for _, p := range found {
		_ = syscall.Kill(p.PID, signal)
	}
	return len(found)
}
