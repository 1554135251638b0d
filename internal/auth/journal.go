package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
)

// journalName is the directory of the journal in the state directory. It belongs to
// the account that has the state, so that the service account cannot change it where
// jacamar-auth has file capabilities.
const journalName = "journal"

const (
	// endGrace is how long a job may take beyond its timeout: after_script, uploads and
	// cleanup.
	endGrace = time.Hour
	// holdPeriod is how often a held job looks whether it may go on.
	holdPeriod = 2 * time.Second
)

// enter records in the journal that the stage of a granted job begins. It refuses a
// job that administrators keep out or have stopped. A journal that cannot be used
// stops no job.
func (d *authDriver) enter(ctx context.Context, decision policy.Decision) error {
	if !d.Site.Auth.Journal.Enabled {
		return nil
	}
	var (
		m       journal.Mark
		refusal error
	)
	if d.Call.Stage == job.Config && d.caps().Set() {
		if refusal := d.admit(ctx, decision); refusal != nil {
			return d.denied(ctx, refusal)
		}
	}
	err := d.inJournal(ctx, func(dir job.AbsPath) (err error) {
		if m, refusal, err = d.marked(dir); refusal != nil && !d.mayWait(m) {
			return err
		}
		return errors.Join(err, d.begin(dir, decision, m))
	})
	d.warnJournal(err)
	if errors.Is(err, journal.ErrTaken) {
		return failure.Privatef("the runner that began the job has ended, and another process cleans up after it")
	}
	if refusal == nil && d.live != nil && d.Call.Stage != job.Config && d.Call.Stage != job.Cleanup {
		refusal = d.stopped(ctx)
	}
	if refusal != nil && d.mayWait(m) {
		refusal = d.hold(ctx, m)
	}
	return d.denied(ctx, refusal)
}

// inJournal runs f as the account that has the journal.
func (d *authDriver) inJournal(ctx context.Context, f func(dir job.AbsPath) error) error {
	state, err := d.stateDir(ctx)
	if err != nil {
		return err
	}
	return state.Inside(journalName, f)
}

func (d *authDriver) key() journal.Key {
	return journal.Key{UID: d.state.Facts.Account.UID, Project: d.id.Project.ID, Job: d.id.JobID}
}

// marked returns the mark that keeps this job's config stage out, and the refusal that
// follows from it; nil for none.
func (d *authDriver) marked(dir job.AbsPath) (journal.Mark, error, error) {
	if d.Call.Stage != job.Config {
		return journal.Mark{}, nil, nil
	}
	m, ok, err := journal.Stopped(dir, d.key(), time.Now(), time.Now)
	if err != nil || ok {
		return journal.Mark{}, refusedWhen(ok, stoppedJob(m)), err
	}
	m, ok, err = journal.KeptOut(dir, d.key(), time.Now())
	return m, refusedWhen(ok, drained(m)), err
}

func refusedWhen(refuses bool, refusal error) error {
	if !refuses {
		return nil
	}
	return refusal
}

// stopped returns the refusal of a stage whose job administrators ended.
func (d *authDriver) stopped(ctx context.Context) (refusal error) {
	err := d.inJournal(ctx, func(dir job.AbsPath) error {
		m, ok, err := journal.Stopped(dir, d.key(), time.Now(), d.live.Began)
		refusal = refusedWhen(ok, stoppedJob(m))
		return err
	})
	if err != nil {
		d.warn(fmt.Errorf("cannot read the journal: %w", err))
	}
	return refusal
}

// explainEnd replaces the error of a stage that administrators ended by their message.
func (d *authDriver) explainEnd(ctx context.Context, err error) error {
	if err == nil || d.live == nil || d.Call.Stage == job.Cleanup {
		return err
	}
	if refusal := d.stopped(ctx); refusal != nil {
		return d.denied(ctx, refusal)
	}
	return err
}

func stoppedJob(m journal.Mark) error {
	text := ""
	if m.Message != "" {
		text = ": " + m.Message
	}
	return &denial{rule: RuleStopped, err: failure.Deniedf("stopped by an administrator: %q", m.Message).
		WithPublic("stopped by the administrators of this CI resource%s", text)}
}

func drained(m journal.Mark) error {
	return &denial{rule: RuleDrain, err: failure.Deniedf("drained: %q", m.Message).
		WithPublic("this CI resource takes no new jobs%s: %s", untilText(m), m.Message).WithHint("retry the job then")}
}

func untilText(m journal.Mark) string {
	if m.Until == 0 {
		return ""
	}
	return " until " + time.Unix(m.Until, 0).Format("2006-01-02 15:04")
}

// mayWait reports whether a drain's time to wait is not over. It counts from when
// GitLab issued the token, at the start of the job: the runner calls a config stage
// that failed up to three times.
func (d *authDriver) mayWait(m journal.Mark) bool {
	return m.Hold > 0 && time.Now().Before(d.holdEnd(m))
}

func (d *authDriver) holdEnd(m journal.Mark) time.Time {
	return d.tokenTime().Add(time.Duration(m.Hold) * time.Second)
}

// tokenTime is when GitLab issued the token, at the start of the job.
func (d *authDriver) tokenTime() time.Time {
	if from := d.id.Token.IssuedAt; !from.IsZero() {
		return from
	}
	return d.Started
}

// hold waits for the end of a drain, and returns the refusal where it does not come in
// time.
func (d *authDriver) hold(ctx context.Context, m journal.Mark) error {
	d.WarnUser(fmt.Errorf("this CI resource takes no new jobs%s: %s; waiting", untilText(m), m.Message))
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM)
	defer stop()
	owner, _ := proctree.Find(os.Getppid())
	tick := time.NewTicker(holdPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return failure.Systemf("the job was stopped while it waited")
		case <-tick.C:
		}
		if owner.Gone() {
			return failure.Privatef("the runner ended while the job waited")
		}
		var refusal error
		err := d.inJournal(ctx, func(dir job.AbsPath) (err error) { m, refusal, err = d.marked(dir); return err })
		if err != nil {
			d.warn(fmt.Errorf("cannot read the journal: %w", err))
		}
		if refusal == nil || !d.mayWait(m) {
			return refusal
		}
	}
}

// begin opens the job's file in the journal and adds what begins now.
func (d *authDriver) begin(dir job.AbsPath, decision policy.Decision, m journal.Mark) error {
	j, host, err := hostJournal(dir)
	if err != nil {
		return err
	}
	events := d.firstEvents(host, decision)
	if d.Call.Stage != job.Config {
		if d.live, err = j.Resume(d.key(), events[1]); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	var held []journal.Event
	if m.Made != 0 {
		held = append(held, journal.At(time.Now(), journal.Held, journal.Context{Rule: RuleDrain, Reason: m.Message}))
	}
	if d.live != nil {
		return d.live.Append(held...) // it was admitted
	}
	d.live, err = j.Create(d.key(), append(events, held...)...)
	return err
}

// firstEvents are the events by which a job and its stage begin.
func (d *authDriver) firstEvents(host string, decision policy.Decision) []journal.Event {
	self, _ := proctree.Find(os.Getpid())
	return []journal.Event{
		journal.At(d.Started, journal.Granted, d.grantedContext(host, decision)),
		journal.At(d.Started, journal.Stage, journal.Context{Stage: d.stageName(), Process: &self}),
	}
}

// hostJournal opens this host's part of the journal.
func hostJournal(dir job.AbsPath) (j *journal.Journal, host string, err error) {
	if host, err = os.Hostname(); err != nil {
		return nil, "", err
	}
	j, err = journal.Open(dir, host)
	return j, host, err
}

func (d *authDriver) grantedContext(host string, decision policy.Decision) journal.Context {
	c := d.journalContext()
	owner, _ := proctree.Find(os.Getppid())
	c.Host, c.Executor, c.Rule, c.Owner = host, string(d.Site.General.Executor), string(decision.Rule), &owner
	c.Runner, c.Timeout, c.Trace, c.Span = d.Env.Runner(), d.Facts.Timeout, d.Facts.Trace, d.Facts.Span
	if d.Facts.Timeout > 0 {
		c.Until = d.Started.Add(time.Duration(d.Facts.Timeout)*time.Second + endGrace).Unix()
	}
	return c
}

// journalContext is what is known of the job.
func (d *authDriver) journalContext() journal.Context {
	c := journal.Context{Job: d.Facts.ID, Pipeline: d.Facts.PipelineID, ProjectID: d.Facts.ProjectID}
	if id := d.id; id.JobID != 0 {
		c.Pipeline, c.Project, c.ProjectID, c.Ref, c.Login = id.Pipeline.ID, id.Project.Path, id.Project.ID, id.Ref.Name, id.User.Login
	}
	if a := d.state.Facts.Account; a.Name != (job.Username{}) {
		c.Account, c.UID = a.Name.String(), &a.UID
	}
	return c
}

// stageName is the stage, or the script of a run stage.
func (d *authDriver) stageName() string {
	if d.Call.Stage == job.Run {
		return d.Call.SubStage
	}
	return string(d.Call.Stage)
}

// refuse records a job that no account was granted for.
func (d *authDriver) refuse(ctx context.Context, rule, reason string) {
	if !d.Site.Auth.Journal.Enabled || d.live != nil {
		return
	}
	c := d.journalContext()
	c.Rule, c.Reason, c.Stage = rule, reason, d.stageName()
	err := d.inJournal(ctx, func(dir job.AbsPath) error {
		j, _, err := hostJournal(dir)
		if err != nil {
			return err
		}
		defer j.Close()
		return j.Refuse(journal.At(time.Now(), journal.Refused, c))
	})
	d.warnJournal(err)
}

// leave records how the stage ended, and where nothing of the job is left, how the job
// did. What a config stage made that was killed, and what a cleanup has not removed, is
// found by the job's record: by the next try of config, the runner's cleanup, or reap.
func (d *authDriver) leave(ctx context.Context, failed error) {
	if d.live == nil {
		return
	}
	end := journal.Context{Stage: d.stageName(), Exit: "ok", Seconds: time.Since(d.Started).Round(time.Millisecond).Seconds()}
	end.CPU, end.Peak = d.used.CPU.Round(time.Millisecond).Seconds(), d.used.Peak
	if failed != nil {
		end.Exit, end.Reason = failure.KindOf(failed).String(), failed.Error()
		end.Code, _ = failure.ScriptCode(failed)
	}
	now := time.Now()
	events := []journal.Event{journal.At(now, journal.StageEnd, end)}
	if dirs := d.state.Dirs; d.Call.Stage == job.Config && failed == nil {
		settled := journal.Context{Base: dirs.Base.String(), Builds: dirs.Builds.String(), Scripts: dirs.Scripts.String()}
		events = append([]journal.Event{journal.At(now, journal.Settled, settled)}, events...)
	}
	err := errors.Join(d.noteFailed, d.live.Append(events...))
	if d.Call.Stage == job.Cleanup {
		d.result = journal.ResultOf(d.live.Events())
	}
	if d.Call.Stage == job.Cleanup && failed == nil || d.Call.Stage == job.Config && failed != nil && !d.unsettled {
		err = errors.Join(err, d.inJournal(ctx, func(dir job.AbsPath) error { return d.endJob(dir, now) }))
	} else {
		err = errors.Join(err, d.live.Close())
	}
	d.warnJournal(err)
}

// endJob moves the job's events to those of the day, and removes the mark by which it
// was stopped.
func (d *authDriver) endJob(dir job.AbsPath, now time.Time) error {
	err := d.live.End(journal.At(now, journal.Ended, journal.Context{}))
	if d.Call.Stage != job.Cleanup {
		return err // the runner may call config again
	}
	return errors.Join(err, d.removeStopMark(dir))
}

// removeStopMark removes the mark by which the job was stopped, if there is one.
func (d *authDriver) removeStopMark(dir job.AbsPath) error {
	if err := journal.RemoveMark(dir, journal.StopJob(d.Facts.ID)); !errors.Is(err, journal.ErrNoMark) {
		return err
	}
	return nil
}
