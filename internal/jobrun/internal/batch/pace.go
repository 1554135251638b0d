package batch

import (
	"math/rand/v2"
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// pace decides when the batch system is queried about one job. Start and end of the
// script come from the status files: a query shows why a job is pending, and finds a job
// that can no longer write its files. So the queries grow rarer as the job gets older.
type pace struct {
	delay   time.Duration // the site's command_delay
	bounded bool          // a limit on the pending time has to be kept
	few     bool          // hardly another job of this host is live
	hurried bool
	wait    time.Duration // until the next query, without its random part
	spread  time.Duration // the length of the random part
}

const (
	// firstPoll is the wait before the first query; each following one of a pending job is
	// twice as long, up to pendingLimit.
	firstPoll = time.Second
	// runningFactor times command_delay is the mean wait of a job that runs. It is longer
	// after each query, up to maxPoll.
	runningFactor = 5
	// fewFactor times command_delay bounds the mean wait of a job that runs, where few jobs
	// were live when it was submitted.
	fewFactor = 2
	// pendingPart of the age of a pending job is the longest wait.
	pendingPart = 10
	// shortPoll and longPoll bound the waits while the end of a job is awaited.
	shortPoll = 100 * time.Millisecond
	longPoll  = 2 * time.Second
	// slowFactor times the duration of a query is the least wait after it, which
	// keeps the load on a slow controller low.
	slowFactor = 10
	// maxPoll bounds the waits that grow.
	maxPoll = 5 * time.Minute
)

func newPace(s ipc.Batch, few bool) *pace {
	p := &pace{delay: s.CommandDelay, bounded: s.PendingTimeout > 0, few: few}
	p.set(min(firstPoll, p.delay))
	return p
}

// next is the wait until the next query.
func (p *pace) next() time.Duration { return p.wait + upTo(p.spread) }

// hurry is for a job whose end is near.
func (p *pace) hurry() {
	p.hurried = true
	p.set(shortPoll / 2)
}

// set sets the wait, with a fifth of it at random: jobs that started together are not
// queried together.
func (p *pace) set(wait time.Duration) { p.wait, p.spread = wait, wait/5 }

// after sets the wait after a query that found a state, at an age of the job, and took a
// time.
func (p *pace) after(s scheduler.State, age, took time.Duration) {
	slow := min(slowFactor*took, maxPoll)
	switch {
	case p.hurried:
		p.set(min(2*p.wait, longPoll))
	case s.Phase == scheduler.Running:
		mean := p.runningMean(2 * min(p.wait+p.spread/2, maxPoll/2))
		// Half of it is at random: the jobs of one pipeline spread over the whole time.
		p.wait, p.spread = max(mean/2, slow), mean
	case s.Phase == scheduler.Pending:
		p.set(max(min(2*p.wait, p.pendingLimit(age)), slow))
	default: // a state that does not last, or that is not known
		p.set(max(min(2*p.wait, p.delay), slow))
	}
}

// runningMean bounds the mean wait of a job that runs. A batch job that dies without a
// status file is found by a query alone, so that these come sooner where there are few.
func (p *pace) runningMean(twice time.Duration) time.Duration {
	if p.few {
		return max(p.delay, min(twice, fewFactor*p.delay))
	}
	return max(twice, runningFactor*p.delay)
}

func (p *pace) pendingLimit(age time.Duration) time.Duration {
	if p.bounded {
		return p.delay
	}
	return max(p.delay, min(age/pendingPart, maxPoll))
}

// jitter adds up to a fifth to a wait.
func jitter(d time.Duration) time.Duration { return d + upTo(d/5) }

// upTo returns a random time.
func upTo(d time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(d) + 1)) //nolint:gosec // not used for security
}
