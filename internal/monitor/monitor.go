// Package monitor stays with a started jacamar until nothing of the job is left.
// It relays the runner's wish to stop, notices the runner's death, and ends what
// jacamar could not end itself.
package monitor

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/handoff"
	"jacamar-ci/internal/proctree"
)

// Monitor watches one jacamar.
type Monitor struct {
	// Runner is where the runner reads the job's log; when it stops, it is gone.
	Runner *os.File
	// KillTimeout is how long jacamar has from the runner's SIGTERM on.
	KillTimeout time.Duration
	// Reap ends processes of the account that this process may not signal.
	Reap func([]proctree.Process) error
	stop chan os.Signal
}

// Ready makes this process the heir of whatever jacamar leaves, and starts to
// catch the runner's signals, before there is anything that they could end.
func (m *Monitor) Ready() error {
	m.stop = make(chan os.Signal, 1)
	signal.Notify(m.stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// outcome is what is known of jacamar's end.
type outcome struct {
	result handoff.Result
	err    error
}

// Wait returns jacamar's result once jacamar and all its descendants are gone.
// A stage that was stopped never succeeds.
func (m *Monitor) Wait(c *Child, end *handoff.AuthEnd) (handoff.Result, error) {
	said, ended := make(chan outcome, 1), make(chan struct{})
	go func() {
		result, err := end.Result()
		said <- outcome{result, err}
	}()
	go func() {
		waitFor(c.PID)
		close(ended)
	}()
	stopped := m.watch(c, end, ended)
	c.Close()
	m.sweep()
	last := <-said
	switch {
	case last.err != nil:
		return handoff.Result{}, m.died(last.err, stopped)
	case stopped && !last.result.Failed:
		return handoff.Result{}, failure.Systemf("the job was stopped by the runner")
	}
	return last.result, last.result.Err()
}

// watch waits for jacamar's end and tells whether the runner asked for it.
func (m *Monitor) watch(c *Child, end *handoff.AuthEnd, ended <-chan struct{}) (stopped bool) {
	var late <-chan time.Time
	gone := m.runnerGone()
	for {
		select {
		case <-ended:
			return stopped
		case <-m.stop:
			if stopped {
				continue
			}
			stopped, late = true, time.After(m.KillTimeout)
			go end.Terminate() //nolint:errcheck // a jacamar that does not read is killed when it is late
		case <-gone:
			stopped, gone, late = true, nil, time.After(farewell)
			c.Cut()
		case <-late:
			late = nil
			c.Cut()
			// What was started may be sudo, whose child is jacamar.
			m.kill(append([]int{c.PID}, proctree.Descendants(c.PID)...))
		}
	}
}

// farewell is how long jacamar has to end everything once the runner is dead:
// long enough to cancel a batch job.
const farewell = 60 * time.Second

// died explains an end without a result.
func (m *Monitor) died(err error, stopped bool) error {
	if stopped {
		return failure.Systemf("the job was stopped by the runner")
	}
	// A reset is an end that came before the brief was read.
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		err = errors.New("jacamar ended without a result")
	}
	return failure.Privatef("the job's own half of Jacamar died: %w", err)
}

// runnerGone is closed when nobody reads the job's log any more.
func (m *Monitor) runnerGone() <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		watched := []unix.PollFd{{Fd: int32(m.Runner.Fd())}}
		for {
			if _, err := unix.Poll(watched, -1); err != nil && err != unix.EINTR {
				return
			}
			if seen := watched[0].Revents; seen != 0 {
				if seen&(unix.POLLERR|unix.POLLHUP) != 0 {
					close(gone)
				}
				return
			}
		}
	}()
	return gone
}

func waitFor(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}
