package monitor

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/proctree"
)

// Account sends signals as the job's account.
type Account interface {
	// Kill sends SIGKILL to processes and to their groups. The caller sees to it that
	// no pid becomes another process's meanwhile.
	Kill(pids []int) error
	// Starter is the pid of a child of this process that the means themselves need, 0
	// for none.
	Starter() int
	// Close returns what is to be ended of the means themselves, nil for nothing.
	Close() *Child
}

const (
	// accounts is how often signalling as the account is begun again. Its processes can
	// be stopped and killed by the account's others.
	accounts = 3
	// reaped is how many ended children are waited for in a round.
	reaped = 1000
	// minPause and maxPause bound the time between two rounds without an event.
	minPause, maxPause = time.Millisecond, 50 * time.Millisecond
)

// ending ends every child of this process, round after round: what a killed one
// leaves becomes a child of this process (PR_SET_CHILD_SUBREAPER in prctl(2)), for
// the next round. So it needs to see nothing in /proc but its own children, and no
// pid is another process's, as nothing else waits for them.
type ending struct {
	m      *Monitor
	course course
	// started are the children that this process has started, by pid. A sudo among
	// them ends with the jacamar below it.
	started map[int]*Child
	account Account
	begun   int
	err     error // why nothing can be done as the account
	first   int   // the pid of the child whose status is kept
	status  unix.WaitStatus
	// signal sends SIGKILL.
	signal func(pid int) error
}

func (m *Monitor) ending(c *Child, course course) *ending {
	return &ending{m: m, course: course, started: map[int]*Child{c.PID: c}, first: c.PID, signal: proctree.Kill}
}

// run returns the processes that are left at the deadline.
func (e *ending) run(deadline time.Time) []proctree.Sight {
	for pause := minPause; ; {
		e.reap()
		kids := e.kids()
		if !time.Now().Before(deadline) {
			e.drop()
			return looks(kids)
		}
		switch {
		case len(kids) > 0:
			e.kill(kids)
		case e.account == nil:
			return nil
		default:
			e.drop()
		}
		pause = e.wait(pause, deadline)
	}
}

func looks(pids []int) (all []proctree.Sight) {
	for _, pid := range pids {
		all = append(all, proctree.Look(pid))
	}
	return all
}

// reap waits for children that have ended.
func (e *ending) reap() {
	for range reaped {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case pid == e.first:
			e.status = status
		case err != unix.EINTR && pid <= 0:
			return
		}
	}
}

func (e *ending) kids() []int {
	kids := proctree.Own()
	if e.account == nil {
		return kids
	}
	return slices.DeleteFunc(kids, func(pid int) bool { return pid == e.account.Starter() })
}

func (e *ending) kill(kids []int) {
	var denied []int
	for _, pid := range kids {
		if e.signal(pid) == unix.EPERM {
			denied = append(denied, pid)
		}
	}
	e.asAccount(e.targets(denied))
	for _, pid := range denied {
		// A sudo stops itself when its command was stopped. It is in this session, whose
		// members may continue each other (kill(2)).
		_ = unix.Kill(pid, unix.SIGCONT)
	}
}

// targets are the processes that the account is to end: not a sudo, but the jacamar
// below it.
func (e *ending) targets(denied []int) (pids []int) {
	for _, pid := range denied {
		c := e.started[pid]
		switch {
		case c == nil || c.jacamar == nil || c.jacamar.pid == pid:
			pids = append(pids, pid)
		case c.jacamar.alive():
			pids = append(pids, c.jacamar.pid)
		}
	}
	return pids
}

func (e *ending) asAccount(pids []int) {
	if len(pids) == 0 || e.m.Account == nil {
		return
	}
	if e.account == nil {
		if e.begun == accounts {
			return
		}
		e.begun++
		if e.account, e.err = e.m.Account(); e.err != nil {
			e.account = nil
			return
		}
	}
	if e.err = e.account.Kill(pids); e.err != nil {
		e.drop()
	}
}

// drop gives up the means to signal as the account.
func (e *ending) drop() {
	if e.account == nil {
		return
	}
	if c := e.account.Close(); c != nil {
		e.started[c.PID] = c
	}
	e.account = nil
}

// wait waits for the end of a child, and returns how long to wait the next time.
func (e *ending) wait(pause time.Duration, deadline time.Time) time.Duration {
	select {
	case <-e.m.change:
		return minPause
	case <-e.m.stop:
		e.course = e.course.after(stopAsked, time.Now())
	case <-time.After(min(pause, time.Until(deadline))):
	}
	return min(2*pause, maxPause)
}
