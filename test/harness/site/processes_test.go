package site_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"jacamar-ci/test/harness/site"
)

// sleeper starts a process that ends with the test.
func sleeper(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sleep", "1000")
	cmd.Env = env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func pids(t *testing.T, m site.Match) []int {
	t.Helper()
	found, err := site.Find(m)
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, p := range found {
		out = append(out, p.PID)
	}
	return out
}

func TestFindByEnvironment(t *testing.T) {
	mark := "mark-" + t.TempDir()
	cmd := sleeper(t, "X="+mark)
	site.SomeProcess(t, 5*time.Second, site.Marked(mark))
	if got := pids(t, site.Marked(mark)); len(got) != 1 || got[0] != cmd.Process.Pid {
		t.Errorf("found %v, want %d alone", got, cmd.Process.Pid)
	}
	if got := pids(t, site.Marked(mark+"-other")); got != nil {
		t.Errorf("found %v by another mark", got)
	}
}

func TestFindByUID(t *testing.T) {
	cmd := sleeper(t)
	for _, pid := range pids(t, site.OfUID(uint32(os.Getuid()))) {
		if pid == cmd.Process.Pid {
			return
		}
	}
	t.Errorf("%d is not among the processes of uid %d", cmd.Process.Pid, os.Getuid())
}

func TestZombieIsNotAlive(t *testing.T) {
	mark := "mark-" + t.TempDir()
	cmd := sleeper(t, "X="+mark)
	site.SomeProcess(t, 5*time.Second, site.Marked(mark))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// It is not waited for before the test ends, so it remains a zombie.
	site.NoProcess(t, 5*time.Second, func(p site.Process) bool { return p.PID == cmd.Process.Pid })
}

// recorder receives a failure instead of the test.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestNoProcessFailsWhileOneIsAlive(t *testing.T) {
	mark := "mark-" + t.TempDir()
	sleeper(t, "X="+mark)
	r := &recorder{TB: t}
	site.NoProcess(r, 50*time.Millisecond, site.Marked(mark))
	if !r.failed {
		t.Error("a live process was not detected")
	}
}

func TestEventually(t *testing.T) {
	n := 0
	if !site.Eventually(5*time.Second, func() bool { n++; return n == 3 }) || n != 3 {
		t.Errorf("%d calls", n)
	}
	if site.Eventually(20*time.Millisecond, func() bool { return false }) {
		t.Error("a condition that is never true was reported as true")
	}
}
