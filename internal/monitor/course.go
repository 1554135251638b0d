package monitor

import "time"

// event is what a monitor receives while jacamar runs.
type event int

const (
	// stopAsked is the runner's signal.
	stopAsked event = iota
	// runnerLost is the end of the reader of the job's log.
	runnerLost
	// concluded is jacamar's result, or the end of the connection without one: jacamar
	// has nothing to do but end.
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

// course is the state of a monitor: whether, and until when, jacamar must end.
type course struct {
	killTimeout time.Duration
	// stopped means that the runner has requested the end, or has itself ended.
	stopped bool
	// deadline is when jacamar is killed; zero for none.
	deadline time.Time
}

// after returns the course after an event. A deadline is never moved to a later time.
func (c course) after(e event, now time.Time) course {
	limit := exitLimit
	switch e {
	case stopAsked:
		if c.stopped {
			return c // the runner sends the signal again; the first one counts
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
