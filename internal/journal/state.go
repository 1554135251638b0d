package journal

import "time"

// State is what a live job is doing.
type State string

// The states.
const (
	Running State = "running" // a stage runs
	Between State = "between" // the runner lives, and is between two stages
	Quiet   State = "quiet"   // as between, for a long time
	Ghost   State = "ghost"   // no stage runs and nothing will start one
	Overdue State = "overdue" // a stage runs, though the job's time is over
)

// quietAfter is how long the runner may take between two stages before the job is
// worth a look. A retried get_sources waits up to 5 minutes.
const quietAfter = 15 * time.Minute

// StateOf decides by facts: the record, whether the runner that owns the job is
// certainly gone, and the time.
func StateOf(r Record, ownerGone bool, now time.Time) State {
	late := false
	if granted, ok := r.Find(Granted); ok && granted.Context.Until != 0 {
		late = now.Unix() > granted.Context.Until
	}
	switch {
	case r.Running && late:
		return Overdue
	case r.Running:
		return Running
	case ownerGone || late:
		return Ghost
	case now.Sub(r.Last()) > quietAfter:
		return Quiet
	}
	return Between
}
