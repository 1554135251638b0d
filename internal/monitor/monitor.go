// Package monitor stays with a started jacamar until nothing of the job is left.
// It relays the runner's request to stop, notices the runner's death, and ends what
// jacamar could not end itself. Each of its waits has a limit.
package monitor

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/pump"
)

// Monitor watches one jacamar.
type Monitor struct {
	// Runner is where the runner reads the job's log; when it stops, it is gone.
	Runner *os.File
	// KillTimeout is how long jacamar has from the runner's SIGTERM on.
	KillTimeout time.Duration
	// Account begins to signal as the job's account. It is nil where this process
	// needs no other to signal what the job leaves.
	Account func() (Account, error)
	// Left is called with an error that names the processes that could not be ended.
	Left func(error)
	// Note is called with each note of jacamar's, before Wait returns; nil ignores them.
	Note func(ipc.Note)
	// Used is called with what jacamar and all that it started have used; it may be nil.
	Used func(proctree.Usage)
	// UID is the account's, whose processes are counted where there are too many.
	UID uint32

	stop, change chan os.Signal
	out, errs    *pump.Pump
	// before are the children that this process had before the job's: those of a program
	// that was replaced by it, as a shell with "exec > >(tee log)" is.
	before []int
}

// Ready makes this process the parent of all processes that jacamar leaves, and starts to
// catch the runner's signals, before there is anything that they could end.
func (m *Monitor) Ready() error {
	m.stop, m.change = make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(m.stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	signal.Notify(m.change, syscall.SIGCHLD)
	m.before = proctree.Own()
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// Outputs makes the pipes that jacamar writes to instead of the runner's. A process
// that the kernel does not end keeps its descriptors open, and the runner waits for
// the end of its pipes: they stay in this process alone. The caller closes both
// ends once jacamar has them.
//
// What comes through the second one before jacamar's hello is not of the job: it
// is sudo's, or Go's runtime could not start.
func (m *Monitor) Outputs(stdout, stderr *os.File) (out, errs *os.File, err error) {
	if m.out, out, err = pump.New(stdout, outputSize); err != nil {
		return nil, nil, err
	}
	m.out.Start()
	m.errs, errs, err = pump.New(stderr, 0)
	return out, errs, err
}

// outputSize of the pipe for the job's log, in bytes. All stages of a service account
// share the limit of pump.Size.
const outputSize = pump.Size / 2

// Wait returns jacamar's result once jacamar and all its descendants are gone, or
// were not ended by the kernel in time. A stage that was stopped never succeeds,
// nor does one that leaves something running.
func (m *Monitor) Wait(c *Child, end *ipc.ParentConn) (ipc.Result, error) {
	conv := m.listen(end)
	exit, forced := m.watch(c, end, conv)
	e := m.ending(c, exit)
	left := leftError{e.run(endLimit, endMost), e.err}
	if m.Used != nil {
		m.Used(e.used)
	}
	c.Close()
	v := verdict{last: conv.last(), forced: forced, stopped: e.exit.stopped, left: left, status: e.status}
	m.meet(c, conv)
	if c.jacamar != nil {
		v.hello = c.jacamar.hello
	} else if m.errs != nil {
		if v.early = m.errs.Text(earlyText); isCrowded(v.early) {
			v.last.tasks = proctree.Tasks(m.UID)
		}
	}
	if len(left.all) > 0 {
		m.Left(left)
	}
	m.drain(c.jacamar != nil, len(left.all) > 0)
	return v.last.result, v.err()
}

// earlyText bounds what is kept of a start that failed, in bytes.
const earlyText = 1 << 10

// watch returns when jacamar has ended, or is to be ended by force.
func (m *Monitor) watch(c *Child, end *ipc.ParentConn, conv *conversation) (exit exitDeadline, forced bool) {
	exit.killTimeout = m.KillTimeout
	gone, hello, over := m.runnerGone(), conv.hello, conv.over
	for {
		select {
		case <-m.change:
			if ended(c.PID) {
				return exit, false
			}
		case <-hello:
			hello = nil
			m.meet(c, conv)
		case <-over:
			over, exit = nil, exit.after(concluded, time.Now())
		case <-m.stop:
			if !exit.stopped {
				go end.Terminate() //nolint:errcheck // a jacamar that does not read is killed when it is late
			}
			exit = exit.after(stopAsked, time.Now())
		case <-gone:
			gone, exit = nil, exit.after(runnerLost, time.Now())
			c.Cut()
		case <-exit.late():
			c.Cut()
			return exit, true
		}
	}
}

const (
	// drainLimit is how long the runner may take to read the rest of the log.
	drainLimit = 30 * time.Second
	// heldLimit is the same where a process that does not end holds the pipes.
	heldLimit = time.Second
)

// drain waits for what is still on its way to the runner.
func (m *Monitor) drain(met, held bool) {
	limit := drainLimit
	if held {
		limit = heldLimit
	}
	if m.out != nil {
		_ = m.out.Drain(limit)
	}
	if m.errs != nil && met {
		_ = m.errs.Drain(limit)
	}
}

// IsUnread reports whether a file is a pipe that no process can read any more (POLLERR in
// poll(2)).
func IsUnread(file *os.File) bool {
	watched := []unix.PollFd{{Fd: int32(file.Fd())}}
	_, _ = unix.Poll(watched, 0) // where it fails, no event is there
	return watched[0].Revents&unix.POLLERR != 0
}

// runnerGone is closed when the reader of the job's log is gone.
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

// exitDeadline is until when jacamar must have ended, and whether it is to end because
// the stage was stopped.
type exitDeadline struct {
	killTimeout time.Duration
	// stopped means that the runner has requested the end, or has itself ended.
	stopped bool
	// at is when jacamar is killed; zero for never.
	at time.Time
}

// after returns the deadline after an event, which never moves it to a later time.
func (d exitDeadline) after(e event, now time.Time) exitDeadline {
	limit := exitLimit
	switch e {
	case stopAsked:
		if d.stopped {
			return d // the runner sends the signal again; the first one counts
		}
		d.stopped, limit = true, d.killTimeout
	case runnerLost:
		d.stopped, limit = true, cancelGrace
	case concluded:
	}
	if at := now.Add(limit); d.at.IsZero() || at.Before(d.at) {
		d.at = at
	}
	return d
}

// late is closed, or has a value, at the deadline; nil never does.
func (d exitDeadline) late() <-chan time.Time {
	if d.at.IsZero() {
		return nil
	}
	return time.After(time.Until(d.at))
}
