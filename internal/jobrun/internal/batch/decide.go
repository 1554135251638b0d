package batch

import (
	"fmt"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// decider decides the next step from successive job states. It keeps the history
// that a single state lacks, and has no effects except messages.
type decider struct {
	task      Task
	id        scheduler.ID
	submitted time.Time

	missingSince       time.Time // since when the batch system has no such job
	silentSince        time.Time // since when it does not reply
	doneSince          time.Time // since when it reports the job as done
	requeuedSince      time.Time // since when it is pending although its script has started
	warned             bool      // that it does not reply
	unschedulableCount int       // consecutive states that report the job as unschedulable
}

const (
	// unreachableLimit is how long a batch system may not reply before the job is
	// abandoned, unless the job's status file ends it first. Maintenance of a
	// controller takes minutes.
	unreachableLimit = time.Hour
	// unreachableNotice is the time after which the job's log reports it.
	unreachableNotice = 2 * time.Minute
	// statusFileWait is how long to wait for the status file of a job that the batch
	// system ended.
	statusFileWait = 2 * time.Second
	// confirmations is how many consecutive states must report a job as
	// unschedulable: some reasons appear only while the scheduler or a node starts.
	confirmations = 2
	// requeueLimit is how long a job may be pending whose script has started: a batch
	// system may show for a moment what was before the start.
	requeueLimit = 2 * time.Minute
)

// decision is the next step.
type decision uint8

const (
	keepWaiting decision = iota
	finishJob            // the job has ended by the batch system's record
	abandonJob           // cancel the job; the decider's error is the outcome
)

// observe takes the latest state. started reports that the wrapper has started.
func (d *decider) observe(s scheduler.State, started bool, now time.Time) (decision, error) {
	d.updateTimes(s, started, now)
	switch {
	case s.Phase == scheduler.Done:
		return d.onDone(s, started, now), nil
	case !d.missingSince.IsZero():
		return d.onMissing(now)
	case !d.silentSince.IsZero():
		return d.onSilent(now)
	case !d.requeuedSince.IsZero():
		return d.onRequeued(now)
	case s.Phase == scheduler.Pending:
		return d.onPending(s, now)
	}
	d.unschedulableCount = 0
	return keepWaiting, nil
}

// updateTimes sets the times since when each condition holds.
func (d *decider) updateTimes(s scheduler.State, started bool, now time.Time) {
	keep := func(t *time.Time, holds bool) {
		switch {
		case !holds:
			*t = time.Time{}
		case t.IsZero():
			*t = now
		}
	}
	keep(&d.missingSince, s.Phase == scheduler.Unknown && s.Missing)
	keep(&d.silentSince, s.Phase == scheduler.Unknown && !s.Missing)
	keep(&d.doneSince, s.Phase == scheduler.Done)
	keep(&d.requeuedSince, s.Phase == scheduler.Pending && started)
}

// onDone waits for the status file, which may become visible later than the batch
// system's record of the end.
func (d *decider) onDone(s scheduler.State, started bool, now time.Time) decision {
	wait := statusFileWait
	if s.Class == scheduler.Exited && (started || s.Reason.Kind != scheduler.Unsatisfiable) {
		wait = d.task.Settings.NFSTimeout
	}
	if now.Sub(d.doneSince) >= wait {
		return finishJob
	}
	return keepWaiting
}

func (d *decider) onMissing(now time.Time) (decision, error) {
	if now.Sub(d.missingSince) < d.task.Settings.NFSTimeout {
		return keepWaiting, nil
	}
	return abandonJob, failure.Systemf("%s no longer has a record of job %s, and its script did not record an exit status",
		d.task.Scheduler.Name(), d.id)
}

func (d *decider) onSilent(now time.Time) (decision, error) {
	since := now.Sub(d.silentSince)
	if since >= unreachableNotice && !d.warned {
		d.warned = true
		d.task.Messages.Note("%s does not respond; the job continues, and Jacamar retries", d.task.Scheduler.Name())
	}
	if since < unreachableLimit {
		return keepWaiting, nil
	}
	return abandonJob, failure.Systemf("%s has not responded for %v", d.task.Scheduler.Name(), unreachableLimit)
}

// onRequeued abandons a job that the batch system has put back into its queue and whose
// script recorded no end: it could be held there forever.
func (d *decider) onRequeued(now time.Time) (decision, error) {
	if now.Sub(d.requeuedSince) < requeueLimit {
		return keepWaiting, nil
	}
	return abandonJob, d.task.requeued(d.id)
}

// onPending decides whether the job can still start in time.
func (d *decider) onPending(s scheduler.State, now time.Time) (decision, error) {
	if limit := d.task.Settings.PendingTimeout; limit > 0 && now.Sub(d.submitted) >= limit {
		return abandonJob, failure.Buildf("%s job %s did not start within %v: %s (%s)",
			d.task.Scheduler.Name(), d.id, limit, s.Reason.Description, s.Reason.Name).
			WithHint("this resource limits how long a job may wait in the queue: request fewer resources, or retry at another time")
	}
	err := d.cannotStart(s)
	if err == nil {
		d.unschedulableCount = 0
		return keepWaiting, nil
	}
	if d.unschedulableCount++; d.unschedulableCount < confirmations {
		return keepWaiting, nil
	}
	return abandonJob, err
}

func (d *decider) cannotStart(s scheduler.State) error {
	switch {
	case s.Reason.Kind == scheduler.LaunchFailed:
		return failure.Systemf("%s could not start job %s: %s (%s)", d.task.Scheduler.Name(), d.id, s.Reason.Description, s.Reason.Name)
	case s.Reason.Kind == scheduler.Unsatisfiable && !d.task.Settings.WaitForImpossible:
		return d.task.unsatisfiable(d.id, s)
	}
	return nil
}

// noticeTimer decides when a notice about a waiting job is due: when it changes, and
// at intervals.
type noticeTimer struct {
	last string
	at   time.Time
}

// noticeInterval is the longest time without a notice.
const noticeInterval = 5 * time.Minute

// line returns the notice for a pending job, "" when none is due.
func (w *noticeTimer) line(system string, id scheduler.ID, s scheduler.State, now time.Time) string {
	text := fmt.Sprintf("%s job %s is pending: %s (%s)", system, id, s.Reason.Description, s.Reason.Name)
	if !w.due(text, now) {
		return ""
	}
	if s.Start.After(now) {
		text += ", expected to start " + startTime(s.Start, now)
	}
	return text
}

// due reports whether a notice is due, and records it.
func (w *noticeTimer) due(text string, now time.Time) bool {
	if text == w.last && now.Sub(w.at) < noticeInterval {
		return false
	}
	w.last, w.at = text, now
	return true
}

// startTime formats a future time, with the day if it is not today.
func startTime(t, now time.Time) string {
	layout := "at 15:04"
	if t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		layout = "on 2 January at 15:04"
	}
	return t.Format(layout)
}
