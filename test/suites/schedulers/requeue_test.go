package schedulers

import (
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakeschedulers"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// A job that an administrator puts back into the queue and holds there fails, for GitLab to
// retry it, and is not left there.
func TestRequeued(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes: that long Slurm may take to record why it ended a script")
	}
	c := realCluster(t)
	s := c.site(t)
	r := s.Runner()
	for name, script := range map[string]string{
		"the script ends":    "echo ready; sleep 300",
		"the script is deaf": "trap '' TERM; echo ready; while :; do sleep 0.2; done",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(s, script)
			e := r.Start(j)
			if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
				t.Fatalf("%v\n%s", err, e.Trace())
			}
			id := c.queue(t, batchName(r, j), false)[0].id
			c.command(t, "scontrol", "update", "JobId="+id, "Requeue=1")
			c.command(t, "scontrol", "requeuehold", id)
			site.Want(t, e.Wait(), fakerunner.SystemFailure, 0, "back into its queue after its script had started")
			c.once(t, batchName(r, j))
		})
	}
}

// A job that is held while it runs goes on: the time for which it may be pending is over
// then.
func TestHeldWhileItRuns(t *testing.T) {
	c := fakeCluster(t, "sge")
	s := c.site(t, func(conf site.Config) { conf.Set("batch", "pending_timeout", "2s") })
	r := s.Runner()
	j := newJob(s, "echo ready; sleep 8; echo ran to its end")
	e := r.Start(j)
	if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
		t.Fatalf("%v\n%s", err, e.Trace())
	}
	jobs, err := c.fake.Jobs()
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%v, %v", jobs, err)
	}
	testutil.Must(t, c.fake.Change(jobs[0].ID, func(j *fakeschedulers.Job) { j.Reason = "held" }))
	site.Want(t, e.Wait(), fakerunner.Success, 0, "ran to its end\n")
	c.once(t, batchName(r, j))
}
