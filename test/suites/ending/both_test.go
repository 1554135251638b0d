package ending

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestBothProgramsAreKilled: as by "pkill -9 jacamar", or where memory is short, the programs
// are killed at the same time during a script. What it has started is ended by the job's
// cleanup, and the next job runs.
func TestBothProgramsAreKilled(t *testing.T) {
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			r := s.Runner()
			killed := 0
			r.Hooks.Output = func(stage string, _ fakerunner.Stream, piece []byte) {
				if stage == "build_script" && bytes.Contains(piece, []byte("under way")) {
					_ = signalAll(t, programs(s), syscall.SIGSTOP) // so that none acts on the other's end
					killed = signalAll(t, programs(s), syscall.SIGKILL)
				}
			}
			left := 0
			r.Hooks.Ended = func(c fakerunner.Call) {
				if c.Stage == "build_script" {
					left = signalAll(t, func(p site.Process) bool { return ours(s)(p) && strings.Contains(p.Command, "sleep") }, 0)
				}
			}
			job := s.Job()
			job.Raw = map[string][]byte{"build_script": []byte(tree + "sleep 1006\n")}
			res := r.Run(job)
			if killed < 2 || left == 0 || res.Outcome != fakerunner.SystemFailure {
				t.Errorf("%d killed, %d left, %s:\n%s", killed, left, res.Outcome, res.Trace)
			}
			if c, _ := res.Call("cleanup"); c.Status != 0 {
				t.Errorf("cleanup ended with status %d:\n%s%s", c.Status, c.Stdout, c.Stderr)
			}
			site.NoProcess(t, limit, ours(s))
			if res := s.Runner().Run(s.Job("true")); res.Outcome != fakerunner.Success {
				t.Errorf("the next job: %s:\n%s", res.Outcome, res.Trace)
			}
		})
	}
}

// TestCleanupEndsWhatAStageLeft: jacamar is killed, and sudo refuses the start of another one
// that ends what the script has started. The job's log names what is left, and the cleanup
// ends it once sudo allows that.
func TestCleanupEndsWhatAStageLeft(t *testing.T) {
	all := site.Deployments()
	d := all[slices.IndexFunc(all, func(d site.Deployment) bool { return d.Name == "sudo" })]
	s := d.Open(t, quick)
	r := s.Runner()
	var restore func() error
	r.Hooks.Output = func(stage string, _ fakerunner.Stream, piece []byte) {
		if stage == "build_script" && bytes.Contains(piece, []byte("under way")) {
			var err error
			restore, err = s.WithdrawSudo()
			testutil.Must(t, err)
			signalAll(t, func(p site.Process) bool { return ours(s)(p) && filepath.Base(p.Exe) == "jacamar" }, syscall.SIGKILL)
		}
	}
	left := 0
	r.Hooks.Ended = func(c fakerunner.Call) {
		if c.Stage == "build_script" {
			left = signalAll(t, func(p site.Process) bool { return ours(s)(p) && strings.Contains(p.Command, "sleep") }, 0)
			testutil.Must(t, restore())
		}
	}
	job := s.Job()
	job.Raw = map[string][]byte{"build_script": []byte(tree + "sleep 1006\n")}
	res := r.Run(job)
	site.Want(t, res, fakerunner.SystemFailure, 0, "processes of the job could not be ended: ", "cannot signal as the account")
	if left == 0 {
		t.Error("the stage left nothing")
	}
	if c, _ := res.Call("cleanup"); c.Status != 0 {
		t.Errorf("cleanup ended with status %d:\n%s%s", c.Status, c.Stdout, c.Stderr)
	}
	site.NoProcess(t, limit, ours(s))
}

// programs picks jacamar-auth, jacamar, and the sudo between them.
func programs(s *site.Site) site.Match {
	own := ours(s)
	return func(p site.Process) bool {
		name := filepath.Base(p.Exe)
		return own(p) && (strings.HasPrefix(name, "jacamar") || name == "sudo")
	}
}
