package schedulers

import (
	"os"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestReboot: the runner's host is started again while a batch job runs on. The next job of the
// account does not get that job's build directory, and cancels it; then reap ends the record.
func TestReboot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it changes the host's boot id in a namespace")
	}
	c, ns := fakeCluster(t, "slurm"), namespace.Start(t)
	s := c.site(t)
	r := s.RunnerInside(ns.Enter()...)
	j := newJob(s, "echo ready; sleep 300")
	runner := detached(t, s, r, j, "ready\n")
	killTree(runner.Process.Pid)
	_ = runner.Wait()
	testutil.Must(t, ns.Put("/proc/sys/kernel/random/boot_id", "0b007000-0000-4000-8000-000000000001\n", 0o444))
	if left := c.queue(t, batchName(r, j), false); len(left) != 1 {
		t.Fatalf("%v are queued, want the stray", left)
	}
	next := r.Run(newJob(s, "true"))
	site.Want(t, next, fakerunner.Success, 0, "cancelled the "+c.name+" job "+batchName(r, j))
	if !strings.HasSuffix(next.BuildsDir, "/001") {
		t.Errorf("the next job had %s, where the batch job ran", next.BuildsDir)
	}
	c.gone(t, batchName(r, j))
	out, err := ns.Run(s.Admin, "reap", "--configuration", s.ConfigFile)
	if err != nil || !strings.Contains(out, "cleaned up") {
		t.Errorf("%v: %s", err, out)
	}
	if l := journal(t, s); len(l) != 0 {
		t.Errorf("%+v", l)
	}
}
