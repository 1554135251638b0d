package schedulers

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/profiles"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// TestTools runs a job that uses functions of conda, of nvm and of a real Lmod, on
// the runner's host and on the node of a real Slurm.
func TestTools(t *testing.T) {
	real := realCluster(t)
	debian.Need(t, map[string]string{profiles.Lmod: "lmod"})
	p := profiles.Login()
	for name, s := range map[string]*site.Site{"shell": site.New(t), "slurm": real.site(t)} {
		t.Run(name, func(t *testing.T) {
			p.Install(t, s.Account.Home, int(s.Account.UID), int(s.Account.GID))
			r := s.Runner().Run(newJob(s, strings.Split(p.Script, "\n")...))
			site.Want(t, r, fakerunner.Success, 0, strings.Split(strings.TrimSpace(p.Output), "\n")...)
			if cleanup, ok := r.Call("cleanup"); !ok || cleanup.Status != 0 {
				t.Errorf("cleanup ended with %d", cleanup.Status)
			}
		})
	}
}

// TestEveryProfileBatch runs one batch job after each profile of the table, in each
// deployment that changes accounts. In short mode a deployment has every fifth.
func TestEveryProfileBatch(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the home of an ordinary user who runs the tests is not ours to change")
	}
	c := fakeCluster(t, "slurm")
	for n, d := range site.Deployments() {
		if !d.Changes {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, c.configure)
			for i, p := range profiles.All() {
				if !testing.Short() || i%5 == n%5 {
					t.Run(p.Name, func(t *testing.T) { afterProfile(t, s, p) })
				}
			}
		})
	}
}

func afterProfile(t *testing.T, s *site.Site, p profiles.Profile) {
	home := s.Account.Home
	// What a profile detaches is the scheduler's to end, and the fake ones end a session.
	t.Cleanup(func() { profiles.End(home, 1) })
	p.Install(t, home, int(s.Account.UID), int(s.Account.GID))
	job := s.Job()
	job.Bare, job.Raw = true, map[string][]byte{"build_script": []byte(p.ScriptText())}
	r := s.Runner().Run(job)
	if p.Races && r.ExitCode == 128+int(syscall.SIGKILL) {
		return // the script began before the shell was ended
	}
	site.Want(t, r, fakerunner.ScriptFailure, profiles.Code)
	call, _ := r.Call("build_script")
	// A profile may set a title, which ends with BEL and not with a line feed.
	out := strings.ReplaceAll(string(call.Stdout)+string(call.Stderr), "\a", "\n")
	if marks := profiles.Marks(t, home); marks != 1 || !profiles.HasLines(out, p.Want()) {
		t.Errorf("the script ran %d times and printed\n%s\nwant\n%s", marks, out, p.Want())
	}
}
