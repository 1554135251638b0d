package monitor

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/proctree"
)

// Account sends signals as the job's account.
type Account interface {
	// Kill sends SIGKILL to processes and to their groups, or to all that is below
	// them. The caller sees to it that no pid becomes another process's meanwhile.
	Kill(c ipc.Condemned) error
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
	minPause, maxPause = time.Millisecond, 200 * time.Millisecond
	// lookShare times as long as a look at all of /proc takes is the pause after it.
	lookShare = 5
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
		begun := time.Now()
		e.reap()
		kids := e.kids()
		if !time.Now().Before(deadline) {
			e.drop()
			return e.looks(kids)
		}
		switch {
		case len(kids) > 0:
			e.kill(kids)
			if pause >= maxPause {
				e.killBelow(kids)
				pause = max(pause, lookShare*time.Since(begun))
			}
		case e.account == nil:
			return nil
		default:
			e.drop()
		}
		pause = e.wait(pause, deadline)
	}
}

// looks shows what is left, the jacamar below a sudo included.
func (e *ending) looks(pids []int) (all []proctree.Sight) {
	for _, pid := range pids {
		all = append(all, proctree.Look(pid))
		if c := e.started[pid]; c != nil && c.jacamar != nil && c.jacamar.pid != pid && c.jacamar.alive() {
			all = append(all, proctree.Look(c.jacamar.pid))
		}
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
	if len(denied) == 0 {
		return
	}
	e.asAccount(ipc.Condemned{PIDs: e.targets(denied)})
	for _, pid := range denied {
		// A sudo stops itself when its command was stopped. It is in this session, whose
		// members may continue each other (kill(2)).
		_ = unix.Kill(pid, unix.SIGCONT)
	}
}

// killBelow ends what is below children that do not end, as those that wait in the
// kernel: while they are there, nothing of it becomes a child of this process.
func (e *ending) killBelow(kids []int) {
	roots := append(e.targets(kids), kids...)
	proctree.KillBelow(roots...)
	e.asAccount(ipc.Condemned{PIDs: roots, Below: true})
}

// targets are the processes that the account is to end: not a sudo, but the jacamar
// below it.
func (e *ending) targets(kids []int) (pids []int) {
	for _, pid := range kids {
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

// asAccount asks the account, and begins again where its means fail.
func (e *ending) asAccount(c ipc.Condemned) {
	if len(c.PIDs) == 0 || e.m.Account == nil {
		return
	}
	if e.account == nil {
		if e.begun == accounts {
			return
		}
		e.begun++
		account, err := e.m.Account()
		if e.err = err; err != nil {
			return
		}
		e.account = account
	}
	if e.err = e.account.Kill(c); e.err != nil {
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
	return max(pause, min(2*pause, maxPause))
}
