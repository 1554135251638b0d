package schedulers

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestAnotherExecutorSince: a batch job that is left running is not forgotten where the site has
// configured something else since. When the batch system is back, it is cancelled.
func TestAnotherExecutorSince(t *testing.T) {
	c := fakeCluster(t, "slurm")
	s := c.site(t)
	r := s.Runner()
	j := newJob(s, "echo ready; sleep 300")
	runner := detached(t, s, r, j, "ready\n")
	killTree(runner.Process.Pid)
	_ = runner.Wait()
	if !site.Eventually(20*time.Second, func() bool { return journal(t, s)[j.ID].State == "ghost" }) {
		t.Fatalf("%+v", journal(t, s))
	}
	for name, change := range map[string]func(site.Config){
		"shell": func(site.Config) {},
		"pbs":   func(conf site.Config) { c.configure(conf); conf.Set("general", "executor", "pbs") },
	} {
		testutil.Must(t, s.Reconfigure(change))
		out, err := exec.Command(s.Admin, "reap", "--configuration", s.ConfigFile).CombinedOutput()
		if want := batchName(r, j) + " was submitted to Slurm, which is no longer this resource's batch system"; err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		if journal(t, s)[j.ID].State != "ghost" {
			t.Errorf("%s: it is not listed any more", name)
		}
	}
	testutil.Must(t, s.Reconfigure(c.configure))
	if text := adminCommand(t, s, "reap"); !strings.Contains(text, "cleaned up") {
		t.Errorf("%s", text)
	}
	c.gone(t, batchName(r, j))
	if l := journal(t, s); len(l) != 0 {
		t.Errorf("%+v", l)
	}
}
