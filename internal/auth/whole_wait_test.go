package auth

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

// waiting is a config stage whose job waits, in the background.
type waiting struct {
	p    *place
	cmd  *exec.Cmd
	log  io.ReadCloser // the job's log
	seen string
}

// begin starts the config stage and returns once the job's log has the text.
func (p *place) begin(text string) *waiting {
	p.t.Helper()
	w := &waiting{p: p, cmd: p.command("config", p.path("jacamar.toml"), "", "")}
	var err error
	w.log, err = w.cmd.StderrPipe()
	testutil.Must(p.t, err, w.output(), w.cmd.Start())
	limit := time.AfterFunc(time.Minute, func() { _ = w.cmd.Process.Kill() })
	p.t.Cleanup(func() { limit.Stop(); _ = w.cmd.Process.Kill() })
	w.read(text)
	return w
}

// output keeps what the runner reads: the stage ends where it is not read any more.
func (w *waiting) output() error {
	file, err := w.cmd.StdoutPipe()
	if err == nil {
		go func() { _, _ = io.Copy(io.Discard, file) }()
	}
	return err
}

// read reads the log up to a text.
func (w *waiting) read(text string) {
	w.p.t.Helper()
	for b := make([]byte, 4096); !strings.Contains(w.seen, text); {
		n, err := w.log.Read(b)
		if w.seen += string(b[:n]); err != nil {
			w.p.t.Fatalf("%v: the log has %q and not %q", err, w.seen, text)
		}
	}
}

// end returns the exit status.
func (w *waiting) end() int {
	w.p.t.Helper()
	text, err := io.ReadAll(w.log)
	testutil.Must(w.p.t, err)
	w.seen += string(text)
	if err := w.cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		w.p.t.Fatal(err)
	}
	return w.cmd.ProcessState.ExitCode()
}

// wantEnd compares the end of a config stage: its status, whether jacamar has run, and the
// reason in the log.
func (w *waiting) wantEnd(status int, ran bool, rule, reason string) {
	w.p.t.Helper()
	got := w.end()
	_, has := w.p.sent(job.Config)
	gotRule, gotReason := w.p.refusal(0)
	if got != status || has != ran || gotRule != rule || !strings.Contains(gotReason, reason) || (reason == "") != (gotReason == "") {
		w.p.t.Errorf("status %d, jacamar has run: %v, rule %q, reason %q: %s", got, has, gotRule, gotReason, w.seen)
	}
}

const takesNone = "this CI resource takes no new jobs: disks"

// TestHeldByADrain: a job waits for the end of a drain that holds jobs, for its time to hold.
func TestHeldByADrain(t *testing.T) {
	t.Run("removed", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		p.mark(journal.Drain, journal.Mark{Message: "disks", Hold: 3600, Made: 1})
		w := p.begin(takesNone + "; waiting")
		lives := p.lives()
		if held, ok := lives[0].Find(journal.Held); !ok || held.Context.Rule != RuleDrain || held.Context.Reason != "disks" {
			t.Errorf("%+v", lives)
		}
		testutil.Must(t, journal.RemoveMark(p.abs("state/journal"), journal.Drain))
		if w.wantEnd(0, true, "", ""); p.warnings() != "" {
			t.Errorf("%q", p.warnings())
		}
	})
	t.Run("too long", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		p.mark(journal.Drain, journal.Mark{Message: "disks", Hold: 4, Made: 1})
		w := p.begin("waiting")
		w.wantEnd(systemFailed, false, RuleDrain, "drained: \"disks\"")
		if len(p.lives()) != 0 {
			t.Errorf("%+v", p.lives())
		}
	})
	t.Run("a journal that is gone", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		p.mark(journal.Drain, journal.Mark{Message: "disks", Hold: 3600, Made: 1})
		w := p.begin("waiting")
		testutil.Must(t, os.Rename(p.path("state/journal"), p.path("elsewhere")), os.WriteFile(p.path("state/journal"), nil, 0o600))
		if w.end(); !strings.Contains(p.warnings(), "cannot read the journal") {
			t.Errorf("%q", p.warnings())
		}
	})
}

const oneAtOnce = "this CI resource runs 1 of your jobs at once"

// capped is a place whose accounts have one job at once, and another job of alice's.
func capped(t *testing.T, wait string, owner *proctree.Process) (p *place, end func()) {
	t.Helper()
	p = newPlace(t, func(p *place) {
		p.config["auth.concurrency.per_account"], p.config["auth.concurrency.wait"] = "1", quoted(wait)
	})
	p.live(journal.Key{UID: aliceUID, Project: 13, Job: 3}, p.begun(owner)...)()
	return p, func() {
		testutil.Must(t, os.Remove(p.path(filepath.Join("state/journal", hostName(t), "live", "5001.13.3"))))
	}
}

// TestAdmission: a job waits for a place, but not for one of a job that nothing will end.
func TestAdmission(t *testing.T) {
	t.Run("no cap is reached", func(t *testing.T) {
		t.Parallel()
		p, end := capped(t, "10m", otherRunner())
		end()
		w := p.begin("")
		w.wantEnd(0, true, "", "")
		if p.warnings() != "" || len(p.lives()) != 1 {
			t.Errorf("%q, %+v", p.warnings(), p.lives())
		}
	})
	t.Run("its config stage fails", func(t *testing.T) {
		t.Parallel()
		p, end := capped(t, "10m", otherRunner())
		end()
		p.answers(job.Config, ipc.Result{Kind: "system", Reason: "the disk is away"})
		p.begin("").wantEnd(systemFailed, true, "", "the disk is away")
		if p.warnings() != "" || len(p.lives()) != 0 {
			t.Errorf("%q, %+v", p.warnings(), p.lives())
		}
	})
	t.Run("a place is free", func(t *testing.T) {
		t.Parallel()
		p, end := capped(t, "10m", otherRunner())
		w := p.begin(oneAtOnce + "; waiting up to 10m0s")
		all, err := journal.WaitingJobs(p.abs("state/journal"), hostName(t))
		if err != nil || len(all) != 1 {
			t.Errorf("%+v, %v", all, err)
		}
		end()
		w.wantEnd(0, true, "", "")
		lives := p.lives()
		if _, granted := lives[0].Find(journal.Granted); len(lives) != 1 || !granted {
			t.Errorf("%+v", lives)
		}
	})
	t.Run("a ghost", func(t *testing.T) {
		t.Parallel()
		p, _ := capped(t, "10m", deadRunner())
		w := p.begin("")
		if w.wantEnd(0, true, "", ""); strings.Contains(w.seen, "waiting") {
			t.Errorf("it waits: %s", w.seen)
		}
	})
	t.Run("of an unknown runner", func(t *testing.T) {
		t.Parallel()
		p, end := capped(t, "10m", nil)
		w := p.begin(oneAtOnce)
		end()
		w.wantEnd(0, true, "", "")
	})
	t.Run("too long", func(t *testing.T) {
		t.Parallel()
		p, _ := capped(t, "3s", otherRunner())
		w := p.begin(oneAtOnce)
		w.wantEnd(systemFailed, false, RuleConcurrency, "auth.concurrency.per_account is 1, and no place was free for 3s")
		if left, err := filepath.Glob(p.path("state/journal/*/waiting/*")); err != nil || len(left) > 0 {
			t.Errorf("%q, %v", left, err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		p, _ := capped(t, "10m", otherRunner())
		w := p.begin(oneAtOnce)
		testutil.Must(t, w.cmd.Process.Signal(unix.SIGTERM))
		w.wantEnd(systemFailed, false, "", "the job was stopped while it waited")
	})
	t.Run("drained", func(t *testing.T) {
		t.Parallel()
		p, end := capped(t, "10m", otherRunner())
		end()
		p.mark(journal.Drain, journal.Mark{Message: "disks"})
		p.begin("").wantEnd(systemFailed, false, RuleDrain, "disks")
		if got := p.ended(); len(p.lives()) != 0 || !slices.Equal(got, []journal.Name{journal.Refused}) { // it has taken no place
			t.Errorf("%+v, %q", p.lives(), got)
		}
	})
	t.Run("held", func(t *testing.T) {
		t.Parallel()
		p, end := capped(t, "10m", otherRunner())
		end()
		p.mark(journal.Drain, journal.Mark{Message: "disks", Hold: 3600, Made: 1})
		w := p.begin("takes no new jobs")
		if lives := p.lives(); len(lives) != 1 {
			t.Errorf("%+v", lives)
		}
		testutil.Must(t, journal.RemoveMark(p.abs("state/journal"), journal.Drain))
		w.wantEnd(0, true, "", "")
	})
	t.Run("a journal that is none", func(t *testing.T) {
		t.Parallel()
		p, _ := capped(t, "10m", otherRunner())
		p.removeState("journal")
		p.write("state/journal", "")
		p.begin("").wantEnd(0, true, "", "")
		if !strings.Contains(p.warnings(), "cannot count the jobs that run") || strings.Contains(p.warnings(), "%!w") {
			t.Errorf("%q", p.warnings())
		}
	})
	t.Run("a host directory that is none", func(t *testing.T) {
		t.Parallel()
		p, _ := capped(t, "10m", otherRunner())
		p.removeState("journal/" + hostName(t))
		p.write("state/journal/"+hostName(t), "")
		p.begin("").wantEnd(0, true, "", "")
		if !strings.Contains(p.warnings(), "cannot count the jobs that run") {
			t.Errorf("%q", p.warnings())
		}
	})
}

// TestStageOfATakenJob: a stage does not begin while another process cleans up after the job.
func TestStageOfATakenJob(t *testing.T) {
	p := newPlace(t)
	p.wantSuccess(job.Config)
	j, err := journal.Open(p.abs("state/journal"), hostName(t))
	testutil.Must(t, err)
	defer j.Close()
	live, _, err := j.TakeOver(p.key(), func(journal.Record) error { return nil })
	testutil.Must(t, err)
	o := p.run(job.Prepare)
	if _, ran := p.sent(job.Prepare); ran || o.status != systemFailed {
		t.Errorf("%+v", o)
	}
	if _, reason := p.refusal(0); !strings.Contains(reason, "another process cleans up after it") {
		t.Errorf("%q", reason)
	}
	testutil.Must(t, live.Close())
	p.wantSuccess(job.Prepare)
}
