package schedulers

import (
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakeschedulers"
	"jacamar-ci/test/harness/site"
)

// overFakes runs a test over every fake at once, under the executor's name.
func overFakes(t *testing.T, test func(t *testing.T, c cluster)) {
	for _, kind := range fakeschedulers.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, fakeCluster(t, kind))
		})
	}
}

// A job without a record and without a status file does not count as finished: it is the
// system's failure.
func TestVanished(t *testing.T) {
	overFakes(t, func(t *testing.T, c cluster) {
		s := c.site(t)
		r := s.Runner()
		j := newJob(s, "echo ready; sleep 300")
		e := r.Start(j)
		if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
			t.Fatalf("%v\n%s", err, e.Trace())
		}
		if err := c.fake.Behave(fakeschedulers.Behaviour{End: "NODE_FAIL", Lost: true}); err != nil {
			t.Fatal(err)
		}
		site.Want(t, e.Wait(), fakerunner.SystemFailure, 0, "no longer has a record of job", "did not record an exit status")
	})
}

// A server that is unreachable while the job runs to its end has no effect on the job:
// its status file has the result.
func TestServerDown(t *testing.T) {
	overFakes(t, func(t *testing.T, c cluster) {
		s := c.site(t)
		r := s.Runner()
		j := newJob(s, "echo ready; until [ -e $HOME/go-$CI_JOB_ID ]; do sleep 0.05; done; rm $HOME/go-$CI_JOB_ID; echo to its end; exit 5")
		j = site.WithVariable(j, "CI_JOB_ID", itoa(j.ID))
		e := r.Start(j)
		if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
			t.Fatalf("%v\n%s", err, e.Trace())
		}
		if err := c.fake.Behave(fakeschedulers.Behaviour{Away: true}); err != nil {
			t.Fatal(err)
		}
		allow(t, s, "go-"+itoa(j.ID))
		site.Want(t, e.Wait(), fakerunner.ScriptFailure, 5, "to its end\n")
		if err := c.fake.Behave(fakeschedulers.Behaviour{}); err != nil {
			t.Fatal(err)
		}
	})
}

// A PBS that keeps finished jobs distinguishes a time limit from a failing script.
func TestPBSHistory(t *testing.T) {
	c := fakeCluster(t, "pbs")
	if err := c.fake.Behave(fakeschedulers.Behaviour{History: true, KillWait: 1}); err != nil {
		t.Fatal(err)
	}
	s := c.site(t)
	r := s.Runner()
	site.Want(t, r.Run(parameters(newJob(s, "sleep 300"), c.limit)), fakerunner.ScriptFailure, 1, "longer than its walltime", "Exit_status=-29", "-l walltime=")
}

// Without its scheduler a job's log names the missing program, before sources are
// fetched.
func TestExecutorIsMissing(t *testing.T) {
	for kind, program := range map[string]string{"pbs": "qsub", "flux": "flux", "lsf": "bsub", "sge": "qsub", "cobalt": "qsub"} {
		t.Run(kind, func(t *testing.T) {
			c := fakeCluster(t, kind)
			c.bin = "/nonexistent/bin"
			s := c.site(t)
			site.Want(t, s.Runner().Run(newJob(s, "true")), fakerunner.SystemFailure, 0, program+": not found", "/nonexistent/bin")
		})
	}
}
