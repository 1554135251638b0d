package batch

import (
	"context"
	"math/rand/v2"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// firstPoll is the wait before a job is first asked about; each following one is
// twice as long, up to the site's command_delay.
const firstPoll = time.Second

// poller asks the batch system about one job at intervals. It works beside
// everything else, so that a controller that hangs blocks nobody.
type poller struct {
	task    Task
	id      scheduler.ID
	states  chan scheduler.State
	hurried chan struct{} // closed: ask quickly, the job is about to be settled
}

func (t Task) poller(id scheduler.ID) *poller {
	return &poller{task: t, id: id, states: make(chan scheduler.State), hurried: make(chan struct{})}
}

func (p *poller) run(ctx context.Context) {
	wait, hurried := min(firstPoll, p.task.Settings.CommandDelay), p.hurried
	for {
		select {
		case <-ctx.Done():
			return
		case <-hurried:
			hurried, wait = nil, shortPoll/2
		case <-time.After(jitter(wait)):
		}
		begin := time.Now()
		s := p.task.ask(ctx, p.id)
		select {
		case <-ctx.Done():
			return
		case p.states <- s:
		}
		wait = next(wait, time.Since(begin), p.task.Settings.CommandDelay, hurried == nil)
	}
}

const (
	// shortPoll and longPoll are the waits while a job is being settled.
	shortPoll = 100 * time.Millisecond
	longPoll  = 2 * time.Second
	// calm is how many times longer than an answer took the next wait is: a slow
	// controller has enough to do.
	calm = 10
	// longest bounds that.
	longest = 5 * time.Minute
)

// next is the wait after one that took so long to be answered.
func next(wait, took, delay time.Duration, hurried bool) time.Duration {
	if hurried {
		return min(2*wait, longPoll)
	}
	return max(min(2*wait, delay), min(calm*took, longest))
}

// jitter spreads the questions of jobs that started together.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)/5+1)) //nolint:gosec // nothing is hidden behind it
}

// ask walks the ladder of questions once.
func (t Task) ask(ctx context.Context, id scheduler.ID) scheduler.State {
	return scheduler.Resolve(t.Scheduler.Queries(id, t.Settings.Accounting), func(c scheduler.Command) scheduler.Reply {
		return t.run(ctx, c, queryLimit)
	})
}
