package schedulers

import (
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// A user's own defaults for qstat hide no job of the user's: a pending one is followed, and
// one that its runner left behind is ended by the next job.
func TestFilteredList(t *testing.T) {
	if *realName != "sge" {
		t.Skip("needs a real Grid Engine, over which TestGridEngine runs it")
	}
	c := installed(t, "sge")
	s := c.site(t)
	r := s.Runner()
	defaults := filepath.Join(s.Account.Home, ".sge_qstat")
	t.Cleanup(func() { _ = os.Remove(defaults) })
	t.Run("pending", func(t *testing.T) {
		testutil.Must(t, os.WriteFile(defaults, []byte("-u nobody -s r\n"), 0o644))
		j := parameters(newJob(s, "true"), c.hold)
		e := r.Start(j)
		if err := e.AwaitOutput(await(t), "build_script", c.heldName); err != nil {
			t.Fatalf("%v\n%s", err, e.Trace())
		}
		e.Cancel()
		site.Want(t, e.Wait(), fakerunner.Canceled, 0)
		c.gone(t, batchName(r, j))
	})
	t.Run("left behind", func(t *testing.T) {
		testutil.Must(t, os.WriteFile(defaults, []byte("-l arch=none\n"), 0o644))
		j := newJob(s, "echo ready; sleep 300")
		runner := detached(t, s, r, j, "ready\n")
		killTree(runner.Process.Pid)
		_ = runner.Wait()
		if left := c.queue(t, batchName(r, j), false); len(left) != 1 {
			t.Fatalf("%v are queued, want the stray", left)
		}
		site.Want(t, r.Run(newJob(s, "true")), fakerunner.Success, 0, "cancelled the "+c.name+" job "+batchName(r, j))
		c.once(t, batchName(r, j))
	})
}
