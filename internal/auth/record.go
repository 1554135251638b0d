package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
)

// journalName is the directory of the journal in the state directory. It belongs to
// the account that has the state, so that the service account cannot change it where
// jacamar-auth has file capabilities.
const journalName = "journal"

// endGrace is how long a job may take beyond its timeout: after_script, uploads and
// cleanup.
const endGrace = time.Hour

// record is what the journal has of the job, and what is to be added to it.
type record struct {
	// live is the job's file in the journal, nil without one.
	live *journal.Live
	// liveJobs is how many jobs of this host are live, 0 where that is not known.
	liveJobs int
	// past is what the journal has of an abandoned job, and result what the stages of a
	// job that cleanup ends have recorded.
	past   journal.Record
	result journal.Result
	// unsettled reports that jacamar was started and did not report that it made nothing:
	// a config stage may have made directories.
	unsettled bool
	// used is what the stage's processes have used, left reports that some could not be ended,
	// noteFailed is the last error of a note.
	used       proctree.Usage
	left       bool
	noteFailed error
}

// note adds to the journal what jacamar reports. Administrators read it; nothing is
// decided by it.
func (r *record) note(n ipc.Note) {
	if r.live == nil {
		return
	}
	if err := r.live.Append(noteEvent(n, time.Now())); err != nil {
		r.noteFailed = fmt.Errorf("cannot write the journal: %w", err)
	}
}

// noteEvent is the event of a note.
func noteEvent(n ipc.Note, now time.Time) journal.Event {
	if b := n.Batch; b != nil {
		return journal.At(now, journal.Batch, journal.Context{
			System: b.System, BatchID: b.ID, Phase: string(b.Phase), Reason: b.Reason, Node: b.Node, Seconds: b.Waited, CPU: b.CPU, Peak: b.Peak,
		})
	}
	return journal.At(now, journal.Disk, journal.Context{Bytes: n.Disk.Bytes, Files: n.Disk.Files, Partial: n.Disk.Partial})
}

// usage is what the stage's processes have used, as the journal has it.
func (r *record) usage() (cpu float64, peak int64) {
	return r.used.CPU.Round(time.Millisecond).Seconds(), r.used.Peak
}

// enter records in the journal that the stage of a granted job begins. It refuses a
// job that administrators keep out or have stopped. A journal that cannot be used
// stops no job.
func (d *authDriver) enter(ctx context.Context, decision policy.Decision) error {
	if !d.Site.Auth.Journal.Enabled {
		return nil
	}
	if d.Call.Stage == job.Config && d.caps().Set() {
		if refusal := d.admit(ctx, decision); refusal != nil {
			return d.denied(ctx, refusal)
		}
	}
	var (
		m       journal.Mark
		refusal error
	)
	err := d.inJournal(ctx, func(dir job.AbsPath) (err error) {
		if m, refusal, err = d.marked(dir); refusal != nil && !d.mayWait(m) {
			return err
		}
		err = errors.Join(err, d.begin(dir, decision, m))
		if refusal == nil { // a drain that found no live job may have been set before there was this one
			var unread error
			m, refusal, unread = d.marked(dir)
			err = errors.Join(err, unread)
		}
		return err
	})
	d.warnJournal(err)
	if errors.Is(err, journal.ErrTaken) {
		return failure.Privatef("the runner that began the job has ended, and another process cleans up after it")
	}
	if d.Call.Stage != job.Config && d.Call.Stage != job.Cleanup {
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

// inHostJournal runs f on this host's part of the journal.
func (d *authDriver) inHostJournal(ctx context.Context, f func(j *journal.Journal) error) error {
	return d.inJournal(ctx, func(dir job.AbsPath) error {
		j, _, err := hostJournal(dir)
		if err != nil {
			return err
		}
		defer j.Close()
		return f(j)
	})
}

// warnJournal records that the journal cannot be written.
func (d *authDriver) warnJournal(err error) {
	if err != nil {
		d.warn(fmt.Errorf("cannot write the journal: %w", err))
	}
}

func (d *authDriver) key() journal.Key {
	return journal.Key{UID: d.state.Facts.Account.UID, Project: d.id.Project.ID, Job: d.id.JobID}
}

// stopped returns the refusal of a stage whose job administrators ended.
func (d *authDriver) stopped(ctx context.Context) (refusal error) {
	err := d.inJournal(ctx, func(dir job.AbsPath) error {
		m, ok, err := journal.Stopped(dir, d.key(), time.Now(), d.began)
		refusal = refusedWhen(ok, stoppedJob(m))
		return err
	})
	if err != nil {
		d.warn(fmt.Errorf("cannot read the journal: %w", err))
	}
	return refusal
}

// began is when the rules allowed the job. Where the journal does not have that, because it
// could not be written, it is when GitLab issued the token.
func (d *authDriver) began() (at time.Time) {
	if d.record.live != nil {
		at = d.record.live.Began()
	}
	if at.IsZero() {
		at = d.tokenTime()
	}
	return at
}

// explainEnd replaces the error of a stage that administrators ended by their message.
func (d *authDriver) explainEnd(ctx context.Context, err error) error {
	if err == nil || d.record.live == nil || d.Call.Stage == job.Cleanup {
		return err
	}
	if refusal := d.stopped(ctx); refusal != nil {
		return d.denied(ctx, refusal)
	}
	return err
}

// begin opens the job's file in the journal and adds what begins now.
func (d *authDriver) begin(dir job.AbsPath, decision policy.Decision, m journal.Mark) error {
	j, host, err := hostJournal(dir)
	if err != nil {
		return err
	}
	if job.SubStage(d.Call.SubStage).UserScript() {
		d.record.liveJobs, _ = j.CountLive() // unknown after an error
	}
	events := d.firstEvents(host, decision)
	if d.Call.Stage != job.Config {
		if d.record.live, err = j.Resume(d.key(), events[1]); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	var held []journal.Event
	if m.Made != 0 {
		held = append(held, journal.At(time.Now(), journal.Held, journal.Context{Rule: RuleDrain, Reason: m.Message}))
	}
	if d.record.live != nil {
		return d.record.live.Append(held...) // it was admitted
	}
	d.record.live, err = j.Create(d.key(), append(events, held...)...)
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
	owner, _ := d.Owner()
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
	if !d.Site.Auth.Journal.Enabled || d.record.live != nil {
		return
	}
	c := d.journalContext()
	c.Rule, c.Reason, c.Stage = rule, reason, d.stageName()
	d.warnJournal(d.inHostJournal(ctx, func(j *journal.Journal) error { return j.Refuse(journal.At(time.Now(), journal.Refused, c)) }))
}

// leave records how the stage ended, and where nothing of the job is left, how the job
// did. What a config stage made that was killed, and what a cleanup has not removed, is
// found by the job's record: by the next try of config, the runner's cleanup, or reap.
func (d *authDriver) leave(ctx context.Context, failed error) {
	live := d.record.live
	if live == nil {
		return
	}
	now := time.Now()
	err := errors.Join(d.record.noteFailed, live.Append(d.lastEvents(now, failed)...))
	if d.Call.Stage == job.Cleanup {
		d.record.result = journal.ResultOf(live.Events())
	}
	if d.Call.Stage == job.Cleanup && failed == nil || d.Call.Stage == job.Config && failed != nil && !d.record.unsettled {
		err = errors.Join(err, d.inJournal(ctx, func(dir job.AbsPath) error { return d.endJob(dir, now) }))
	} else {
		err = errors.Join(err, live.Close())
	}
	d.warnJournal(err)
}

// lastEvents are the events by which a stage ends; after config, with the directories of
// the job.
func (d *authDriver) lastEvents(now time.Time, failed error) (events []journal.Event) {
	if dirs := d.state.Dirs; d.Call.Stage == job.Config && failed == nil {
		events = append(events, journal.At(now, journal.Settled, journal.Context{Base: dirs.Base.String(), Builds: dirs.Builds.String(), Scripts: dirs.Scripts.String()}))
	}
	end := journal.Context{Stage: d.stageName(), Exit: "ok", Seconds: time.Since(d.Started).Round(time.Millisecond).Seconds()}
	end.CPU, end.Peak = d.record.usage()
	end.Left = d.record.left
	if failed != nil {
		end.Exit, end.Reason = failure.KindOf(failed).String(), failed.Error()
		end.Code, _ = failure.ScriptCode(failed)
	}
	return append(events, journal.At(now, journal.StageEnd, end))
}

// endJob moves the job's events to those of the day, and removes the mark by which it
// was stopped.
func (d *authDriver) endJob(dir job.AbsPath, now time.Time) error {
	err := d.record.live.End(journal.At(now, journal.Ended, journal.Context{}))
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
