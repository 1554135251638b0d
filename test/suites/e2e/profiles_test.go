package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/profiles"
	"jacamar-ci/test/harness/site"
)

// TestEveryProfile runs one job after each profile of the table, wherever the
// account changes: its directories are found by a variable of the profile, and its
// script reports what the profile has changed. test/suites/schedulers does the same by
// batch jobs.
func TestEveryProfile(t *testing.T) {
	for _, d := range site.Deployments() {
		if !d.Changes {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, func(c site.Config) {
				c.Set("general", "variable_data_dir", true)
				c.Set("general", "data_dir", "$SCRATCH")
			})
			for _, p := range profiles.All() {
				t.Run(p.Name, func(t *testing.T) { afterProfile(t, s, p) })
			}
		})
	}
}

// afterProfile runs the job of one profile.
func afterProfile(t *testing.T, s *site.Site, p profiles.Profile) {
	home := s.Account.Home
	if os.Geteuid() != 0 {
		t.Skip("the home of an ordinary user who runs the tests is not ours to change")
	}
	p.Install(t, home, int(s.Account.UID), int(s.Account.GID))
	job := s.Job()
	job.Bare = true
	job.Raw = map[string][]byte{"build_script": []byte(p.ScriptText())}
	r := s.Runner().Run(job)
	marks := profiles.Marks(t, home)
	call, ran := r.Call("build_script")
	if p.Ends && !ran {
		// Its variables cannot be evaluated.
		if marks != 0 || r.Outcome != fakerunner.SystemFailure || !strings.Contains(r.Trace, "cannot find the directory for your jobs") {
			t.Errorf("the job ended as %s, its script ran %d times:\n%s", r.Outcome, marks, r.Trace)
		}
		return
	}
	if p.Races && r.ExitCode == 128+int(syscall.SIGKILL) {
		return // the script began before the shell was ended
	}
	site.Want(t, r, fakerunner.ScriptFailure, profiles.Code)
	if out := call.ScriptOutput() + string(call.Stderr); marks != 1 || !profiles.HasLines(out, p.Want()) {
		t.Errorf("the script ran %d times and printed\n%s\nwant\n%s", marks, out, p.Want())
	}
	if warned := strings.Contains(r.Trace, "JACAMAR_CI_NO_PROFILE"); warned != p.Ends {
		t.Errorf("a warning: %v, want %v:\n%s", warned, p.Ends, r.Trace)
	}
	if cleanup, ok := r.Call("cleanup"); !ok || cleanup.Status != 0 {
		t.Errorf("cleanup ended with %d", cleanup.Status)
	}
	s.NoProcess(t, 0)
}
