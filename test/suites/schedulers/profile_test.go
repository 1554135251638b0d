package schedulers

import (
	"strings"
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
