package journal

import (
	"errors"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
)

// State is the state of a live job.
type State string

// The states.
const (
	Waiting State = "waiting" // its config stage waits to be admitted
	Running State = "running" // a stage runs
	Between State = "between" // the runner is alive and between two stages
	Quiet   State = "quiet"   // as between, for a long time
	Ghost   State = "ghost"   // no stage runs, no runner will start one, and something may be left
	Overdue State = "overdue" // a stage runs after the job's timeout
)

// quietAfter is the time between two stages after which an administrator should check
// the job. A retried get_sources waits up to 5 minutes.
const quietAfter = 15 * time.Minute

// StateOf returns the state for a record, whether the runner that owns the job has
// certainly ended, and the time.
func StateOf(r Record, ownerGone bool, now time.Time) State {
	late := false
	if granted, ok := r.Find(Granted); ok && granted.Context.Until != 0 {
		late = now.Unix() > granted.Context.Until
	}
	switch {
	case r.Waiting:
		return Waiting
	case r.Running && late:
		return Overdue
	case r.Running:
		return Running
	case ownerGone || late || r.configKilled(now) || r.cleanupFailed():
		return Ghost
	case now.Sub(r.Last()) > quietAfter:
		return Quiet
	}
	return Between
}

const (
	// configRetry is how long a runner may take to repeat a config stage.
	configRetry = time.Minute
	// certainlyLate is how long after its time a job is given up although its runner
	// lives: longer than any clock is set forward by mistake and not noticed.
	certainlyLate = 24 * time.Hour
)

// configKilled reports whether the job's config stage was killed, or did not come to its
// end, and was not repeated: its runner has no state for another stage.
func (r Record) configKilled(now time.Time) bool {
	if now.Sub(r.Last()) < configRetry {
		return false
	}
	_, settled := r.Find(Settled)
	return !settled
}

// cleanupFailed reports whether the job's cleanup stage was killed or failed, if no stage
// runs: its runner calls no other, and a cleanup that succeeds ends the record.
func (r Record) cleanupFailed() bool {
	last, ok := r.Find(Stage)
	return ok && last.Context.Stage == string(job.Cleanup)
}

// reapStage is the stage of the events of a clean-up that did not succeed.
const reapStage = "reap"

// Unreaped is the event of a clean-up that did not succeed.
func Unreaped(at time.Time, kind string, err error) Event {
	return At(at, StageEnd, Context{Stage: reapStage, Exit: kind, Reason: err.Error()})
}

// Unsettled is why the last clean-up did not succeed, "" if there was none.
func (r Record) Unsettled() string {
	if e, ok := r.Find(StageEnd); ok && e.Context.Stage == reapStage {
		return e.Context.Reason
	}
	return ""
}

// Owner is the runner that has the job; ok is false where the journal does not name it.
func (r Record) Owner() (p proctree.Process, ok bool) {
	e, ok := r.Find(Granted)
	if !ok || e.Context.Owner == nil {
		return p, false
	}
	return *e.Context.Owner, true
}

// Abandoned returns nil if nothing will clean up after the job any more, so that another
// process may, and why not otherwise.
func (r Record) Abandoned(ownerGone bool, now time.Time) error {
	granted, _ := r.Find(Granted)
	until := time.Unix(granted.Context.Until, 0)
	switch {
	case r.Running:
		return errInUse
	case ownerGone || r.configKilled(now) || r.cleanupFailed():
		return nil
	case granted.Context.Until != 0 && now.After(until.Add(certainlyLate)):
		return nil
	case granted.Context.Until != 0 && now.After(until):
		return errors.New("its time is over, but its runner lives and may still clean up; it is cleaned up a day after its time, or when the runner has ended")
	}
	return errors.New("its runner lives")
}
