package monitor

import "time"

// event is something that a monitor learns while jacamar runs.
type event int

const (
	// stopAsked is the runner's signal.
	stopAsked event = iota
	// runnerLost is the end of the reader of the job's log.
	runnerLost
	// concluded is jacamar's result, or the end of the conversation without one: all that
	// is left to do is to end.
	concluded
)

const (
	// cancelGrace is how long jacamar has to end everything once the runner is dead:
	// long enough to cancel a batch job.
	cancelGrace = 60 * time.Second
	// exitLimit is how long jacamar may take to end once it has sent its result.
	exitLimit = 2 * time.Second
	// endLimit is how long it may take until the next of the killed processes ends: one
	// that waits in the kernel, for a file server that does not answer, takes as long as
	// that. endMost is how long it may take in all.
	endLimit, endMost = 5 * time.Second, 30 * time.Second
)

// course is how far a monitor has come.
type course struct {
	killTimeout time.Duration
	// stopped means that the runner wants the end, or cannot want anything any more.
	stopped bool
	// deadline is when jacamar is ended by force; zero while nothing presses.
	deadline time.Time
}

// after returns the course behind an event. A deadline only ever comes nearer.
func (c course) after(e event, now time.Time) course {
	limit := exitLimit
	switch e {
	case stopAsked:
		if c.stopped {
			return c // the runner repeats itself; the first time counts
		}
		c.stopped, limit = true, c.killTimeout
	case runnerLost:
		c.stopped, limit = true, cancelGrace
	case concluded:
	}
	if at := now.Add(limit); c.deadline.IsZero() || at.Before(c.deadline) {
		c.deadline = at
	}
	return c
}

// late is closed, or has a value, at the deadline; nil never does.
func (c course) late() <-chan time.Time {
	if c.deadline.IsZero() {
		return nil
	}
	return time.After(time.Until(c.deadline))
}
