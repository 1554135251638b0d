package schedulers

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakeschedulers"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// A node failure ends the job, and GitLab may retry it.
func TestNodeFailure(t *testing.T) {
	atOnce(t, func(t *testing.T, c cluster) {
		c.mayKillNode(t)
		s := c.site(t)
		r := s.Runner()
		j := newJob(s, "echo ready; sleep 300")
		if c.real != nil {
			j = parameters(j, "-N 1 -w n2")
		}
		e := r.Start(j)
		if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
			t.Fatalf("%v\n%s", err, e.Trace())
		}
		c.killNode(t)
		texts := []string{"no longer has a record of job"}
		if c.executor == "slurm" {
			texts = []string{"a node of it failed", "NODE_FAIL"}
		} else if c.records {
			texts = []string{c.name + " ended job"}
		}
		site.Want(t, e.Wait(), fakerunner.SystemFailure, 0, texts...)
		c.once(t, batchName(r, j))
	})
}

func (c cluster) killNode(t *testing.T) {
	t.Helper()
	if c.fake != nil {
		if err := c.fake.Behave(fakeschedulers.Behaviour{End: "NODE_FAIL"}); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := c.real.KillNode("n2"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.real.StartNode("n2"); err != nil {
			t.Error(err)
		}
		if err := c.real.WaitIdle(); err != nil {
			t.Error(err)
		}
	})
}

// A job over its time limit is the author's failure, and the message names the limit.
func TestTimeLimit(t *testing.T) {
	everywhere(t, func(t *testing.T, c cluster) {
		if testing.Short() && c.real != nil {
			t.Skip("takes more than a minute: Slurm counts limits in minutes")
		}
		if c.fake != nil {
			if err := c.fake.Behave(fakeschedulers.Behaviour{Minute: 1, KillWait: 1}); err != nil {
				t.Fatal(err)
			}
		}
		s := c.site(t)
		r := s.Runner()
		j := parameters(newJob(s, "echo ready; sleep 300"), c.limit)
		site.Want(t, r.Run(j), fakerunner.ScriptFailure, c.limitCode, c.limitTexts...)
		s.NoProcess(t, 20*time.Second)
	})
}

// secondStart is what the submitted wrapper prints when it is started again.
const secondStart = "or has run before"

// A controller that is killed and restarted has no effect on the job, whatever it reports
// then. Some versions (such as 26.05.3) read a state
// from before the job's start, and start it again: then the wrapper refuses, and the
// job may end with it.
func TestControllerRestart(t *testing.T) {
	for _, tt := range []struct {
		name    string
		away    time.Duration
		outcome fakerunner.Outcome
		code    int
	}{
		{"back before the end", 0, fakerunner.Success, 0},
		{"back after the end", 4 * time.Second, fakerunner.ScriptFailure, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Its own: a killed controller gives job numbers a second time.
			c := ownCluster(t)
			s := c.site(t)
			r := s.Runner()
			j := newJob(s, "echo ready; sleep 3; echo ran to its end; exit "+itoa(int64(tt.code)))
			e := r.Start(j)
			if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
				t.Fatalf("%v\n%s", err, e.Trace())
			}
			if err := c.real.Kill("slurmctld"); err != nil {
				t.Fatal(err)
			}
			<-time.After(tt.away)
			if err := c.real.StartController(); err != nil {
				t.Fatal(err)
			}
			res := e.Wait()
			ran := strings.Count(res.Trace, "ran to its end\n")
			if ran > 1 || strings.Count(res.Trace, "ready\n") != 1 {
				t.Errorf("the script ran more than once\n%s", res.Trace)
			}
			if strings.Contains(res.Trace, secondStart) && res.Outcome == fakerunner.SystemFailure {
				t.Skip("this Slurm's controller, killed before it had saved the job's start, started the job again; the wrapper refused to run it, and Slurm ended the job with the wrapper")
			}
			site.Want(t, res, tt.outcome, tt.code, "ran to its end\n")
		})
	}
}

// A controller that accepts connections without a response neither stops the log nor
// prevents a cancel; it executes the requests when it continues.
func TestControllerHangs(t *testing.T) {
	c := ownCluster(t)
	s := c.site(t)
	r := s.Runner()
	j := newJob(s, "echo ready; for i in $(seq 600); do echo line $i; sleep 0.1; done")
	e := r.Start(j)
	if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
		t.Fatalf("%v\n%s", err, e.Trace())
	}
	if err := c.real.Signal("slurmctld", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	awake := false
	wake := func() {
		if !awake {
			awake = true
			if err := c.real.Signal("slurmctld", syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}
	}
	defer wake()
	if err := e.AwaitOutput(await(t), "build_script", "line 60\n"); err != nil {
		t.Errorf("the log stopped with the controller: %v", err)
	}
	e.Cancel()
	time.AfterFunc(5*time.Second, wake)
	site.Want(t, e.Wait(), fakerunner.Canceled, 0)
	c.once(t, batchName(r, j))
	s.NoProcess(t, 20*time.Second)
}

// Faults of commands that a real cluster cannot produce on demand.
func TestMisbehaviour(t *testing.T) {
	const busy = "slurm_load_jobs error: Socket timed out on send/recv operation"
	garbage, twoIDs := "\x00\xff\nnothing to see\n", "17\n18\n"
	tests := []struct {
		name    string
		b       fakeschedulers.Behaviour
		outcome fakerunner.Outcome
		text    string
	}{
		{"sbatch has a banner", fakeschedulers.Behaviour{Programs: map[string]fakeschedulers.Fault{"sbatch": {Banner: "*** Welcome to 2 clusters ***\n\n"}}}, fakerunner.Success, "ran"},
		{"sbatch prints garbage", fakeschedulers.Behaviour{Programs: map[string]fakeschedulers.Fault{"sbatch": {Instead: &garbage}}}, fakerunner.Success, "ran"},
		{"sbatch prints two ids", fakeschedulers.Behaviour{Programs: map[string]fakeschedulers.Fault{"sbatch": {Instead: &twoIDs}}}, fakerunner.Success, "ran"},
		{"sbatch dies after submitting", fakeschedulers.Behaviour{Programs: map[string]fakeschedulers.Fault{"sbatch": {After: "die"}}}, fakerunner.Success, "ran"},
		{"sbatch fails after submitting", fakeschedulers.Behaviour{Programs: map[string]fakeschedulers.Fault{"sbatch": {After: "fail", Stderr: busy}}}, fakerunner.Success, "ran"},
		{"the controller comes back", fakeschedulers.Behaviour{Programs: map[string]fakeschedulers.Fault{"sbatch": {
			Before: "fail", Stderr: "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)", Times: 2,
		}}}, fakerunner.Success, "ran"},
		{"squeue hangs", fakeschedulers.Behaviour{Programs: map[string]fakeschedulers.Fault{"squeue": {Before: "hang", Seconds: 20}}}, fakerunner.Success, "ran"},
		{"squeue prints garbage", fakeschedulers.Behaviour{Programs: map[string]fakeschedulers.Fault{"squeue": {Instead: &garbage}}}, fakerunner.Success, "ran"},
		{"squeue fails", fakeschedulers.Behaviour{Programs: map[string]fakeschedulers.Fault{"squeue": {Before: "fail", Stderr: busy}}}, fakerunner.Success, "ran"},
		{"the queue loses the job", fakeschedulers.Behaviour{Lost: true}, fakerunner.Success, "ran"},
		{"it starts late", fakeschedulers.Behaviour{Pending: 5, PendingReason: "Priority"}, fakerunner.Success, "other jobs are ahead of it (Priority)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := fakeCluster(t, "slurm")
			if err := c.fake.Behave(tt.b); err != nil {
				t.Fatal(err)
			}
			s := c.site(t)
			r := s.Runner()
			j := newJob(s, "sleep 1; echo ran")
			res := r.Run(j)
			site.Want(t, res, tt.outcome, 0, tt.text)
			jobs, err := c.fake.Jobs()
			if err != nil || len(jobs) != 1 || strings.Count(res.Trace, "ran\n") != 1 {
				t.Errorf("%d jobs, %v; the script ran %d times", len(jobs), err, strings.Count(res.Trace, "ran\n"))
			}
			s.NoProcess(t, 20*time.Second)
		})
	}
}

// A job of unknown id that the batch system has forgotten ends as its script did: the submit
// program dies behind its request, and the queue drops the job.
func TestForgottenSubmission(t *testing.T) {
	for kind, submit := range map[string]string{"slurm": "sbatch", "pbs": "qsub", "torque": "qsub", "lsf": "bsub", "sge": "qsub", "cobalt": "qsub"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := fakeCluster(t, kind)
			testutil.Must(t, c.fake.Behave(fakeschedulers.Behaviour{Lost: true, Programs: map[string]fakeschedulers.Fault{submit: {After: "die"}}}))
			s := c.site(t)
			r := s.Runner()
			res := r.Run(newJob(s, "echo ran; exit 5"))
			site.Want(t, res, fakerunner.ScriptFailure, 5, "gave no clear reply", "ran\n")
			jobs, err := c.fake.Jobs()
			if err != nil || len(jobs) != 1 || strings.Count(res.Trace, "ran\n") != 1 {
				t.Errorf("%d jobs, %v; the script ran %d times", len(jobs), err, strings.Count(res.Trace, "ran\n"))
			}
		})
	}
}

// Without its scheduler a job's log has a message.
func TestSchedulerMissing(t *testing.T) {
	c := fakeCluster(t, "slurm")
	s := c.site(t, func(conf site.Config) { conf.Set("batch", "scheduler_bin", "/nonexistent/bin") })
	site.Want(t, s.Runner().Run(newJob(s, "true")), fakerunner.SystemFailure, 0, "sbatch: not found", "/nonexistent/bin")
}
