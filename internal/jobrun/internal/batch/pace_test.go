package batch

import (
	"testing"
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

func testPace(delay, pendingTimeout time.Duration) *pace {
	var s ipc.Batch
	s.CommandDelay, s.PendingTimeout = delay, pendingTimeout
	return newPace(s, false)
}

// TestPaceOfFew: a job that is hardly in company is queried at most two minutes after
// its death, however long it runs.
func TestPaceOfFew(t *testing.T) {
	p := testPace(30*time.Second, 0)
	p.few = true
	for n, want := range [][2]time.Duration{{15 * time.Second, 45 * time.Second}, {30 * time.Second, 90 * time.Second}, {30 * time.Second, 90 * time.Second}} {
		p.after(scheduler.State{Phase: scheduler.Running}, time.Hour, 0)
		for range 1000 {
			if got := p.next(); got < want[0] || got > want[1] {
				t.Fatalf("query %d after %v, want %v to %v", n, got, want[0], want[1])
			}
		}
	}
	p.after(scheduler.State{Phase: scheduler.Running}, time.Hour, time.Minute)
	if got := p.next(); got < maxPoll {
		t.Errorf("a slow controller is queried after %v", got)
	}
}

func TestPace(t *testing.T) {
	const delay = 30 * time.Second
	for name, tt := range map[string]struct {
		phase     scheduler.Phase
		wait      time.Duration
		age, took time.Duration
		urgent    bool
		limit     time.Duration // pending_timeout
		from, to  time.Duration
	}{
		"pending, new":               {phase: scheduler.Pending, wait: time.Second, from: 2 * time.Second, to: 2400 * time.Millisecond},
		"pending, to command_delay":  {phase: scheduler.Pending, wait: 20 * time.Second, from: delay, to: delay * 6 / 5},
		"pending, for an hour":       {phase: scheduler.Pending, wait: 4 * time.Minute, age: time.Hour, from: maxPoll, to: maxPoll * 6 / 5},
		"pending, for ten minutes":   {phase: scheduler.Pending, wait: delay, age: 10 * time.Minute, from: time.Minute, to: 72 * time.Second},
		"pending, with a limit":      {phase: scheduler.Pending, wait: delay, age: time.Hour, limit: 2 * time.Hour, from: delay, to: delay * 6 / 5},
		"pending, slow controller":   {phase: scheduler.Pending, wait: delay, took: 20 * time.Second, from: 200 * time.Second, to: 240 * time.Second},
		"pending, hanging":           {phase: scheduler.Pending, wait: delay, took: 2 * time.Minute, from: maxPoll, to: maxPoll * 6 / 5},
		"running, first seen":        {phase: scheduler.Running, wait: time.Second, from: 75 * time.Second, to: 225 * time.Second},
		"running, for long":          {phase: scheduler.Running, wait: maxPoll, from: maxPoll / 2, to: 3 * maxPoll / 2},
		"unknown after long running": {phase: scheduler.Unknown, wait: maxPoll, from: delay, to: delay * 6 / 5},
		"done":                       {phase: scheduler.Done, wait: maxPoll, from: delay, to: delay * 6 / 5},
		"urgent":                     {phase: scheduler.Running, urgent: true, from: 100 * time.Millisecond, to: 120 * time.Millisecond},
	} {
		p := testPace(delay, tt.limit)
		p.set(tt.wait)
		if tt.urgent {
			p.hurry()
		}
		p.after(scheduler.State{Phase: tt.phase}, tt.age, tt.took)
		for range 1000 {
			if got := p.next(); got < tt.from || got > tt.to {
				t.Errorf("%s: %v, want %v to %v", name, got, tt.from, tt.to)
				break
			}
		}
	}
}

func TestUrgentPaceIsBounded(t *testing.T) {
	p := testPace(time.Minute, 0)
	p.hurry()
	for range 20 {
		p.after(scheduler.State{}, 0, time.Minute)
	}
	if p.wait != longPoll {
		t.Errorf("%v, want %v", p.wait, longPoll)
	}
}

// TestQueriesOfManyJobs: 500 jobs that began together, and run, cause at most 4 queries
// in a second, in any minute after the first. The first 20 were few when they began.
// The numbers are means of many times 500 jobs.
func TestQueriesOfManyJobs(t *testing.T) {
	const jobs, times = 500, 20
	perMinute := make([]float64, 240)
	for n := range times * jobs {
		p, at := testPace(30*time.Second, 0), time.Duration(0)
		p.few = n%jobs < 20
		for at += p.next(); int(at.Minutes()) < len(perMinute); at += p.next() {
			perMinute[int(at.Minutes())] += 1.0 / times
			p.after(scheduler.State{Phase: scheduler.Running}, at, 10*time.Millisecond)
		}
	}
	for minute, n := range perMinute[1:] {
		if n/60 > 4 {
			t.Errorf("%.1f queries a second in minute %d", n/60, minute+1)
		}
	}
	if last := perMinute[len(perMinute)-1]; last > 5*60/2 {
		t.Errorf("%.1f queries a minute after hours", last)
	}
}

func TestWatchLimit(t *testing.T) {
	for age, want := range map[time.Duration]time.Duration{0: time.Second, 30 * time.Second: time.Second, 200 * time.Second: 4 * time.Second, time.Hour: 5 * time.Second} {
		if got := watchLimit(age); got != want {
			t.Errorf("after %v: %v, want %v", age, got, want)
		}
	}
}
