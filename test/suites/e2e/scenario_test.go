package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestScenarios runs the possible ends of a job in every deployment: the way to the
// account must make no difference.
func TestScenarios(t *testing.T) {
	for _, d := range append(site.Deployments(), site.Shared()) {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			for _, c := range []struct {
				name string
				play func(*testing.T, *site.Site)
			}{
				{"succeeds", succeeds},
				{"exit 7", exits},
				{"is cancelled", cancelled},
				{"times out", timesOut},
				{"the shell is killed", killShell},
				{"jacamar is killed", killJacamar},
				{"what the driver started is killed", killStarted},
				{"the driver is killed", killDriver},
				{"the runner is killed", killRunner},
			} {
				t.Run(c.name, func(t *testing.T) { c.play(t, s) })
			}
		})
	}
}

func succeeds(t *testing.T, s *site.Site) {
	r := s.Runner().Run(s.Job("echo account $(id -un)."))
	site.Want(t, r, fakerunner.Success, 0)
	if !strings.Contains(r.Trace, "account "+s.Account.Name+".") {
		t.Errorf("it ran as another account:\n%s", r.Trace)
	}
	if kept := "runs every job as the account"; strings.Contains(r.Trace, kept) == (s.Account.UID != runnerUID(s)) {
		t.Errorf("the log does not show correctly whether the account changed:\n%s", r.Trace)
	}
	s.NoProcess(t, 0)
}

func runnerUID(s *site.Site) uint32 {
	if s.Service() == nil {
		return uint32(os.Geteuid())
	}
	return s.Service().UID
}

func exits(t *testing.T, s *site.Site) {
	site.Want(t, s.Runner().Run(s.Job("exit 7", "echo never")), fakerunner.ScriptFailure, 7)
	s.NoProcess(t, 0)
}

func cancelled(t *testing.T, s *site.Site) {
	job := s.Job()
	job.AfterScript = []string{"echo tidied up"}
	e := site.Begin(t, s.Runner(), job, long)
	start := time.Now()
	e.Cancel()
	r := e.Wait()
	if r.Outcome != fakerunner.Canceled || !strings.Contains(r.Trace, "tidied up") {
		t.Errorf("ended as %s; the log:\n%s", r.Outcome, r.Trace)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
	s.NoProcess(t, 0)
}

func timesOut(t *testing.T, s *site.Site) {
	job := s.Job()
	job.Timeout = 2 * time.Second
	job.Raw = map[string][]byte{"build_script": []byte(long)}
	r := s.Runner().Run(job)
	if r.Outcome != fakerunner.Timeout {
		t.Errorf("ended as %s; the log:\n%s", r.Outcome, r.Trace)
	}
	if stages := r.Stages(); stages[len(stages)-1] != "cleanup" {
		t.Errorf("the stages were %v", stages)
	}
	s.NoProcess(t, 0)
}

func killShell(t *testing.T, s *site.Site) {
	job := s.Job()
	job.Raw = map[string][]byte{"build_script": []byte("setsid sleep 1000 & sleep 1001 &\nkill -KILL $$\n")}
	site.Want(t, s.Runner().Run(job), fakerunner.ScriptFailure, 137)
	s.NoProcess(t, 0)
}

// killJacamar kills the unprivileged program, as a user can; the script is an orphan
// then.
func killJacamar(t *testing.T, s *site.Site) {
	e := site.Begin(t, s.Runner(), s.Job(), "setsid sleep 1000 & sleep 1001 & (trap '' TERM HUP; sleep 1002) & echo under way below $PPID.\nsleep 1003\n")
	var jacamar int
	_, after, _ := strings.Cut(e.Trace(), "under way below ")
	if _, err := fmt.Sscanf(after, "%d.", &jacamar); err != nil {
		t.Error(err)
	} else if err := syscall.Kill(jacamar, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	unknownEnd(t, s, e)
}

// killStarted kills jacamar as only the runner's side can, or the sudo above it.
func killStarted(t *testing.T, s *site.Site) {
	e := site.Begin(t, s.Runner(), s.Job(), long)
	for _, pid := range proctree.Children(process(t, e, "build_script")) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	unknownEnd(t, s, e)
}

// killDriver kills the process that the runner started, which cannot report it.
func killDriver(t *testing.T, s *site.Site) {
	e := site.Begin(t, s.Runner(), s.Job(), long)
	if err := syscall.Kill(process(t, e, "build_script"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	unknownEnd(t, s, e)
}

// unknownEnd is a job whose script's end is unknown.
func unknownEnd(t *testing.T, s *site.Site, e *fakerunner.Execution) {
	t.Helper()
	if r := e.Wait(); r.Outcome != fakerunner.SystemFailure {
		t.Errorf("ended as %s; the log:\n%s", r.Outcome, r.Trace)
	}
	s.NoProcess(t, 20*time.Second)
}

func killRunner(t *testing.T, s *site.Site) {
	job := s.Job()
	job.Raw = map[string][]byte{"build_script": []byte(long)}
	cmd, _ := underWay(t, s, job)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	s.NoProcess(t, 20*time.Second)
}
