package contract

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/fakes"
	"jacamar-ci/test/site"
	"jacamar-ci/test/stagerunner"
)

// A node that dies takes the job with it, and GitLab may retry.
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
		texts := []string{"no record of job"}
		if c.executor == "slurm" {
			texts = []string{"a node of it failed", "NODE_FAIL"}
		} else if c.records {
			texts = []string{c.name + " ended job"}
		}
		want(t, e.Wait(), stagerunner.SystemFailure, 0, texts...)
		c.once(t, batchName(r, j))
	})
}

func (c cluster) killNode(t *testing.T) {
	t.Helper()
	if c.fake != nil {
		if err := c.fake.Behave(fakes.Behaviour{End: "NODE_FAIL"}); err != nil {
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

// A job over its time limit is the author's failure and says which limit.
func TestTimeLimit(t *testing.T) {
	everywhere(t, func(t *testing.T, c cluster) {
		if testing.Short() && c.real != nil {
			t.Skip("takes more than a minute: Slurm counts limits in minutes")
		}
		if c.fake != nil {
			if err := c.fake.Behave(fakes.Behaviour{Minute: 1, KillWait: 1}); err != nil {
				t.Fatal(err)
			}
		}
		s := c.site(t)
		r := s.Runner()
		j := parameters(newJob(s, "echo ready; sleep 300"), c.limit)
		want(t, r.Run(j), stagerunner.ScriptFailure, c.limitCode, c.limitTexts...)
		s.NoProcess(t, 10*time.Second)
	})
}

// secondStart is what the submitted wrapper prints when it is started again.
const secondStart = "or has run before"

// A controller that is killed and comes back in the middle changes nothing for
// the job, whatever it says then. Some versions (26.05.3 was seen to) read a state
// from before the job's start, and start it again: then the wrapper refuses, and the
// job may end with it.
func TestControllerRestart(t *testing.T) {
	for _, tt := range []struct {
		name    string
		away    time.Duration
		outcome stagerunner.Outcome
		code    int
	}{
		{"back before the end", 0, stagerunner.Success, 0},
		{"back after the end", 4 * time.Second, stagerunner.ScriptFailure, 5},
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
			if strings.Contains(res.Trace, secondStart) && res.Outcome == stagerunner.SystemFailure {
				t.Skip("this Slurm's controller, killed before it had saved the job's start, started the job again; the wrapper refused to run it, and Slurm ended the job with the wrapper")
			}
			want(t, res, tt.outcome, tt.code, "ran to its end\n")
		})
	}
}

// A controller that accepts and says nothing neither stops the log nor keeps a
// cancel from being sent; what it was told takes effect when it wakes.
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
	want(t, e.Wait(), stagerunner.Canceled, 0)
	c.once(t, batchName(r, j))
	s.NoProcess(t, 10*time.Second)
}

// The ways in which commands misbehave that a real cluster cannot be told to.
func TestMisbehaviour(t *testing.T) {
	const busy = "slurm_load_jobs error: Socket timed out on send/recv operation"
	garbage, twoIDs := "\x00\xff\nnothing to see\n", "17\n18\n"
	tests := []struct {
		name    string
		b       fakes.Behaviour
		outcome stagerunner.Outcome
		text    string
	}{
		{"sbatch has a banner", fakes.Behaviour{Programs: map[string]fakes.Fault{"sbatch": {Banner: "*** Welcome to 2 clusters ***\n\n"}}}, stagerunner.Success, "ran"},
		{"sbatch prints garbage", fakes.Behaviour{Programs: map[string]fakes.Fault{"sbatch": {Instead: &garbage}}}, stagerunner.Success, "ran"},
		{"sbatch prints two ids", fakes.Behaviour{Programs: map[string]fakes.Fault{"sbatch": {Instead: &twoIDs}}}, stagerunner.Success, "ran"},
		{"sbatch dies after submitting", fakes.Behaviour{Programs: map[string]fakes.Fault{"sbatch": {After: "die"}}}, stagerunner.Success, "ran"},
		{"sbatch fails after submitting", fakes.Behaviour{Programs: map[string]fakes.Fault{"sbatch": {After: "fail", Stderr: busy}}}, stagerunner.Success, "ran"},
		{"the controller comes back", fakes.Behaviour{Programs: map[string]fakes.Fault{"sbatch": {
			Before: "fail", Stderr: "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)", Times: 2,
		}}}, stagerunner.Success, "ran"},
		{"squeue hangs", fakes.Behaviour{Programs: map[string]fakes.Fault{"squeue": {Before: "hang", Seconds: 20}}}, stagerunner.Success, "ran"},
		{"squeue prints garbage", fakes.Behaviour{Programs: map[string]fakes.Fault{"squeue": {Instead: &garbage}}}, stagerunner.Success, "ran"},
		{"squeue fails", fakes.Behaviour{Programs: map[string]fakes.Fault{"squeue": {Before: "fail", Stderr: busy}}}, stagerunner.Success, "ran"},
		{"the queue loses the job", fakes.Behaviour{Lost: true}, stagerunner.Success, "ran"},
		{"it starts late", fakes.Behaviour{Pending: 5, PendingReason: "Priority"}, stagerunner.Success, "other jobs are ahead of it (Priority)"},
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
			want(t, res, tt.outcome, 0, tt.text)
			jobs, err := c.fake.Jobs()
			if err != nil || len(jobs) != 1 || strings.Count(res.Trace, "ran\n") != 1 {
				t.Errorf("%d jobs, %v; the script ran %d times", len(jobs), err, strings.Count(res.Trace, "ran\n"))
			}
			s.NoProcess(t, 10*time.Second)
		})
	}
}

// A site whose scheduler is not there says so.
func TestSchedulerMissing(t *testing.T) {
	c := fakeCluster(t, "slurm")
	s := c.site(t, func(conf site.Config) { conf.Set("batch", "scheduler_bin", "/nonexistent/bin") })
	want(t, s.Runner().Run(newJob(s, "true")), stagerunner.SystemFailure, 0, "sbatch: not found", "/nonexistent/bin")
}
