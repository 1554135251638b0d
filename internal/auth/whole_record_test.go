package auth

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/test/harness/testutil"
)

// events are the names of the one live job's events.
func (p *place) events() (names []journal.Name) {
	p.t.Helper()
	lives := p.lives()
	if len(lives) != 1 {
		p.t.Fatalf("%d live jobs", len(lives))
	}
	for _, e := range lives[0].Events {
		names = append(names, e.Name)
	}
	return names
}

// ended are the events of jobs that are not live.
func (p *place) ended() (names []journal.Name) {
	p.t.Helper()
	files, err := filepath.Glob(p.path("state/journal/*/*/*.jsonl"))
	testutil.Must(p.t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		testutil.Must(p.t, err)
		for _, r := range journal.Day(hostName(p.t), text) {
			for _, e := range r.Events {
				names = append(names, e.Name)
			}
		}
	}
	return names
}

// TestRecordOfAJob: with and without caps, the record of a job begins once and then has each
// stage.
func TestRecordOfAJob(t *testing.T) {
	for name, caps := range map[string]string{"without caps": "0", "with caps": "1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, with("auth.concurrency.per_account", caps))
			config := []journal.Name{journal.Granted, journal.Stage, journal.Settled, journal.StageEnd}
			p.wantSuccess(job.Config)
			if got := p.events(); !slices.Equal(got, config) {
				t.Errorf("after config: %q", got)
			}
			p.wantSuccess(job.Prepare)
			if got := p.events(); !slices.Equal(got, append(config, journal.Stage, journal.StageEnd)) {
				t.Errorf("after prepare: %q", got)
			}
			if exists(p.path(filepath.Join("state/journal", hostName(t), "admission"))) != (caps != "0") {
				t.Error("jobs are counted without a cap, or not counted with one")
			}
		})
	}
}

// TestLostRecord: a stage whose job is not in the journal any more begins its record again.
func TestLostRecord(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wantSuccess(job.Config)
	p.removeState("journal")
	p.wantSuccess(job.Prepare)
	if got := p.events(); !slices.Equal(got, []journal.Name{journal.Granted, journal.Stage, journal.StageEnd}) {
		t.Errorf("%q", got)
	}
}

// TestWithoutJournal: a site without a journal runs jobs; a cleanup then looks for processes of
// ended stages, as nothing has how they ended.
func TestWithoutJournal(t *testing.T) {
	t.Parallel()
	p := newPlace(t, with("auth.journal.enabled", "false"))
	for _, stage := range []job.Stage{job.Config, job.Prepare, job.Run, job.Cleanup} {
		p.wantSuccess(stage)
		if r := p.wantSent(stage).Request; r.MayRun != (stage == job.Cleanup) || r.Measure != 0 || r.LiveJobs != 0 {
			t.Errorf("%s: %+v", stage, r)
		}
	}
	with("auth.user_blocklist", `["alice"]`)(p)
	p.run(job.Config)
	if exists(p.path("state/journal")) || p.warnings() != "" {
		t.Errorf("there is a journal, or a warning: %s", p.warnings())
	}
}

// TestCleanupAfterAKilledStage: of a stage without an end processes may run.
func TestCleanupAfterAKilledStage(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wantSuccess(job.Config)
	j, err := journal.Open(p.abs("state/journal"), hostName(t))
	testutil.Must(t, err)
	live, err := j.Resume(p.key(), journal.At(time.Now(), journal.Stage, journal.Context{Stage: "step_script"}))
	testutil.Must(t, err, live.Close())
	j.Close()
	p.wantSuccess(job.Cleanup)
	if r := p.wantSent(job.Cleanup).Request; !r.MayRun || r.Ghost || r.Measure != measureLimit {
		t.Errorf("%+v", r)
	}
}

// TestRefusedRecord: the journal has each refused job that is not live.
func TestRefusedRecord(t *testing.T) {
	p := newPlace(t, with("auth.user_blocklist", `["alice"]`))
	p.run(job.Config)
	if got := p.ended(); !slices.Equal(got, []journal.Name{journal.Refused}) {
		t.Errorf("%q", got)
	}
	with("auth.user_blocklist", "[]")(p)
	p.wantSuccess(job.Config)
	p.mark(journal.StopJob(7), journal.Mark{Message: "enough"})
	p.run(job.Prepare)
	if got := p.ended(); !slices.Equal(got, []journal.Name{journal.Refused}) {
		t.Errorf("a live job is refused as well: %q", got)
	}
	p.wantSuccess(job.Cleanup) // administrators do not stop it
	if _, ok, err := journal.GetMark(p.abs("state/journal"), journal.StopJob(7)); ok || err != nil {
		t.Errorf("the mark is there: %v, %v", ok, err)
	}
}

// TestStoppedAccount: a mark for the jobs of an account is for those that began before it.
func TestStoppedAccount(t *testing.T) {
	for name, tt := range map[string]struct {
		journal string
		after   time.Duration // the mark, after the beginning
		stopped bool
	}{
		"before the mark":                    {"true", time.Hour, true},
		"after the mark":                     {"true", -time.Hour, false},
		"after the mark, of an older record": {"true", -2 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.wantSuccess(job.Config)
			if name == "after the mark, of an older record" {
				p.removeState("journal")
				events := p.begun(thisRunner())
				events[0] = journal.At(time.Now().Add(-time.Hour), journal.Granted, events[0].Context)
				p.live(p.key(), events...)()
			}
			p.mark(journal.StopAccount(aliceUID), journal.Mark{Message: "enough", Made: time.Now().Add(tt.after).Unix()})
			p.run(job.Prepare)
			if _, ran := p.sent(job.Prepare); ran == tt.stopped {
				t.Errorf("jacamar has run: %v", ran)
			}
		})
	}
}

// TestUnreadableMark: a mark that cannot be read stops no job, and the operator is warned.
func TestUnreadableMark(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wantSuccess(job.Config)
	p.mark(journal.StopJob(7), journal.Mark{})
	files, err := filepath.Glob(p.path("state/journal/*/" + string(journal.StopJob(7))))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	testutil.Must(t, os.WriteFile(files[0], []byte("damaged"), 0o600))
	p.wantSuccess(job.Prepare)
	if !strings.Contains(p.warnings(), "cannot read the journal: ") {
		t.Errorf("%q", p.warnings())
	}
}

// TestStoppedWhileItRuns: a stage that administrators end fails by their message, if it fails;
// and without a mark by its own.
func TestStoppedWhileItRuns(t *testing.T) {
	failed := ipc.Result{Kind: "build", Reason: "the script failed", Code: 3}
	for name, tt := range map[string]struct {
		stage  job.Stage
		result ipc.Result
		mark   bool
		change func(*place)
		rule   string
		reason string
	}{
		"stopped":           {job.Run, failed, true, with(), RuleStopped, "enough"},
		"not stopped":       {job.Run, failed, false, with(), "", "the script failed"},
		"at its end":        {job.Run, ipc.Result{}, true, with(), "", ""},
		"in cleanup":        {job.Cleanup, ipc.Result{Kind: "system", Reason: "the disk is away"}, true, with(), "", "the disk is away"},
		"without a journal": {job.Run, failed, true, with("auth.journal.enabled", "false"), "", "the script failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, tt.change)
			p.wantSuccess(job.Config)
			p.answers(tt.stage, tt.result)
			p.jacamar().Gate(t)
			done := make(chan outcome)
			go func() { done <- p.run(tt.stage) }()
			gate := p.jacamar().OpenGate(t)
			if tt.mark {
				p.mark(journal.StopJob(7), journal.Mark{Message: "enough"})
			}
			testutil.Must(t, gate.Close())
			<-done
			if rule, reason := p.refusal(0); rule != tt.rule || !strings.Contains(reason, tt.reason) || (reason == "") != (tt.reason == "") {
				t.Errorf("%q, %q", rule, reason)
			}
		})
	}
}
