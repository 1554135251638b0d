package schedulers

import (
	"context"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakeschedulers"
	"jacamar-ci/test/harness/setup/slurm"
	"jacamar-ci/test/harness/site"
)

const full = "accepts no more of your jobs now"

// occupied starts a job that uses the whole limit, and returns a function that lets it
// end.
func occupied(t *testing.T, s *site.Site, r *fakerunner.Runner) (first *fakerunner.Execution, end func()) {
	t.Helper()
	j := newJob(s, "echo ready; until [ -e $HOME/go-$CI_JOB_ID ]; do sleep 0.05; done; rm $HOME/go-$CI_JOB_ID")
	j = site.WithVariable(j, "CI_JOB_ID", itoa(j.ID))
	first = r.Start(j)
	if err := first.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
		t.Fatalf("%v\n%s", err, first.Trace())
	}
	return first, func() { allow(t, s, "go-"+itoa(j.ID)) }
}

// limited tries a job at a limit that is reached: it waits, is cancelled while it waits,
// and fails when it may wait no longer.
func limited(t *testing.T, c cluster, limit string) {
	s := c.site(t)
	r := s.Runner()
	first, end := occupied(t, s, r)
	t.Run("cancelled", func(t *testing.T) {
		j := newJob(s, "echo ran")
		e := r.Start(j)
		if err := e.AwaitOutput(await(t), "build_script", full); err != nil {
			t.Fatalf("%v\n%s", err, e.Trace())
		}
		begin := time.Now()
		e.Cancel()
		site.Want(t, e.Wait(), fakerunner.Canceled, 0, limit)
		if took := time.Since(begin); took > 40*time.Second {
			t.Errorf("the cancel took %v", took)
		}
		c.never(t, batchName(r, j))
	})
	t.Run("too long", func(t *testing.T) {
		other := c.site(t, func(conf site.Config) { conf.Set("batch", "pending_timeout", "2s") })
		brief, j := other.Runner(), newJob(other, "echo ran")
		site.Want(t, brief.Run(j), fakerunner.ScriptFailure, 1, "up to 2s", "accepted no more of your jobs for 2s", limit, "resource_group")
		c.never(t, batchName(brief, j))
	})
	t.Run("until there is a place", func(t *testing.T) {
		j := newJob(s, "echo ran")
		e := r.Start(j)
		if err := e.AwaitOutput(await(t), "build_script", full); err != nil {
			t.Fatalf("%v\n%s", err, e.Trace())
		}
		end()
		res := e.Wait()
		site.Want(t, res, fakerunner.Success, 0, full, limit, "ran\n", "was submitted")
		if n := strings.Count(res.Trace, full); n != 1 {
			t.Errorf("the message occurs %d times", n)
		}
		c.once(t, batchName(r, j))
	})
	site.Want(t, first.Wait(), fakerunner.Success, 0)
}

// A job at a limit on submitted jobs that is reached waits, and is then submitted, once.
func TestSubmitLimit(t *testing.T) {
	limits := map[string]string{
		"slurm": "AssocMaxSubmitJobLimit", "pbs": "would exceed queue workq's per-user limit", "torque": "Maximum number of jobs already in queue",
		"lsf": "Pending job threshold reached", "sge": "only 1 jobs are allowed per user", "flux": "user has max active jobs", "cobalt": "The limit of 1 jobs per user",
	}
	overFakes(t, func(t *testing.T, c cluster) {
		if err := c.fake.Behave(fakeschedulers.Behaviour{MaxJobs: 1, KillWait: 0.5}); err != nil {
			t.Fatal(err)
		}
		limited(t, c, limits[c.kind])
	})
}

// The same over a real Slurm, by the limit of an association.
func TestSlurmSubmitLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute: a cluster of its own, with accounting")
	}
	c := clusterOf(t, slurm.Options{Accounting: true, Conf: []string{"AccountingStorageEnforce=limits"}})
	s := c.site(t)
	for _, args := range [][]string{{"add", "account", "ci"}, {"add", "user", s.Account.Name, "account=ci", "maxsubmitjobs=1"}} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if out, err := c.real.Command(ctx, "sacctmgr", append([]string{"-i"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("sacctmgr %q: %v\n%s", args, err, out)
		}
	}
	limited(t, c, "AssocMaxSubmitJobLimit")
}
