package batch

import (
	"fmt"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// decider turns one answer after the other into what to do. It keeps the little
// history that single answers do not have, and does nothing itself.
type decider struct {
	task      Task
	id        scheduler.ID
	submitted time.Time

	missing       time.Time // since when the batch system has no such job
	silent        time.Time // since when it gives no answer
	over          time.Time // since when it says that the job is done
	warned        bool      // that it gives no answer
	unschedulable int       // answers in a row by which the job has no future
}

const (
	// unreachableLimit is how long a batch system may give no answer before the job
	// is given up, unless the job's own marks end it first. Maintenance of a
	// controller takes minutes.
	unreachableLimit = time.Hour
	// unreachableNotice is when the job's author is told.
	unreachableNotice = 2 * time.Minute
	// statusFileWait is how long a mark may be late when the batch system says that
	// the job did not come to its own end.
	statusFileWait = 2 * time.Second
	// confirmations is how many answers it takes to believe that a job has no future:
	// some reasons are there only while the scheduler starts, or a node does.
	confirmations = 2
)

// step is what to do next.
type step uint8

const (
	carryOn step = iota
	finish       // the batch system's record is the end
	giveUp       // cancel the job; the outcome is the judge's
)

// observe takes an answer. began reports that the wrapper has started.
func (j *decider) observe(s scheduler.State, began bool, now time.Time) (step, error) {
	j.note(s, now)
	switch {
	case s.Phase == scheduler.Done:
		return j.done(s, began, now), nil
	case !j.missing.IsZero():
		return j.lost(now)
	case !j.silent.IsZero():
		return j.silence(now)
	case s.Phase == scheduler.Pending:
		return j.pending(s, now)
	}
	j.unschedulable = 0
	return carryOn, nil
}

// note keeps the times since when things are as they are.
func (j *decider) note(s scheduler.State, now time.Time) {
	keep := func(t *time.Time, holds bool) {
		switch {
		case !holds:
			*t = time.Time{}
		case t.IsZero():
			*t = now
		}
	}
	keep(&j.missing, s.Phase == scheduler.Unknown && s.Missing)
	keep(&j.silent, s.Phase == scheduler.Unknown && !s.Missing)
	keep(&j.over, s.Phase == scheduler.Done)
}

// done waits for the script's own mark, which storage may show later than the
// batch system says that the job is over.
func (j *decider) done(s scheduler.State, began bool, now time.Time) step {
	wait := statusFileWait
	if s.Class == scheduler.Ended && (began || s.Reason.Hope != scheduler.Unsatisfiable) {
		wait = j.task.Settings.NFSTimeout
	}
	if now.Sub(j.over) >= wait {
		return finish
	}
	return carryOn
}

func (j *decider) lost(now time.Time) (step, error) {
	if now.Sub(j.missing) < j.task.Settings.NFSTimeout {
		return carryOn, nil
	}
	return giveUp, failure.Systemf("%s has no record of job %s any more, and its script left no mark of its end",
		j.task.Scheduler.Name(), j.id)
}

func (j *decider) silence(now time.Time) (step, error) {
	since := now.Sub(j.silent)
	if since >= unreachableNotice && !j.warned {
		j.warned = true
		j.task.Voice.Note("%s does not answer; the job goes on, and it is asked again", j.task.Scheduler.Name())
	}
	if since < unreachableLimit {
		return carryOn, nil
	}
	return giveUp, failure.Systemf("%s has not answered for %v", j.task.Scheduler.Name(), unreachableLimit)
}

// pending decides whether waiting has a point.
func (j *decider) pending(s scheduler.State, now time.Time) (step, error) {
	if limit := j.task.Settings.PendingTimeout; limit > 0 && now.Sub(j.submitted) >= limit {
		return giveUp, failure.Buildf("%s job %s did not start within %v: %s (%s)",
			j.task.Scheduler.Name(), j.id, limit, s.Reason.Description, s.Reason.Name).
			WithHint("this resource lets a job wait no longer than that; ask for less, or at another time")
	}
	err := j.cannotStart(s)
	if err == nil {
		j.unschedulable = 0
		return carryOn, nil
	}
	if j.unschedulable++; j.unschedulable < confirmations {
		return carryOn, nil
	}
	return giveUp, err
}

func (j *decider) cannotStart(s scheduler.State) error {
	switch {
	case s.Reason.Hope == scheduler.LaunchFailed:
		return failure.Systemf("%s could not start job %s: %s (%s)", j.task.Scheduler.Name(), j.id, s.Reason.Description, s.Reason.Name)
	case s.Reason.Hope == scheduler.Unsatisfiable && !j.task.Settings.WaitForImpossible:
		return j.task.hopeless(j.id, s)
	}
	return nil
}

// waiting decides what the job's author is told while the job waits: when it
// changes, and now and then.
type waiting struct {
	said string
	at   time.Time
}

// repeat is the longest silence in a log.
const repeat = 5 * time.Minute

// line returns what to say of a pending job, "" for nothing.
func (w *waiting) line(system string, id scheduler.ID, s scheduler.State, now time.Time) string {
	said := fmt.Sprintf("%s job %s is pending: %s (%s)", system, id, s.Reason.Description, s.Reason.Name)
	if !w.due(said, now) {
		return ""
	}
	if s.Start.After(now) {
		said += ", expected to start " + when(s.Start, now)
	}
	return said
}

// due reports whether a line has to be said, and remembers that it is.
func (w *waiting) due(said string, now time.Time) bool {
	if said == w.said && now.Sub(w.at) < repeat {
		return false
	}
	w.said, w.at = said, now
	return true
}

// when names a time to come, with the day if it is not today.
func when(t, now time.Time) string {
	layout := "at 15:04"
	if t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		layout = "on 2 January at 15:04"
	}
	return t.Format(layout)
}
