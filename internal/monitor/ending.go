package monitor

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/proctree"
)

// Account sends signals as the job's account.
type Account interface {
	// Kill sends SIGKILL to processes and to their groups, or to them and all that is
	// below them. The caller ensures that no pid becomes another process's meanwhile.
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
	// lookShare times as long as ending whole trees took is the pause before the next
	// time, as a tree can have thousands of processes.
	lookShare = 5
	// stopLimit bounds how long processes are stopped before they are killed.
	stopLimit = time.Second
)

// ending ends every child of this process and all that is below, round after round.
// What it does not see in /proc it ends all the same: what a killed process leaves
// becomes a child of this process (PR_SET_CHILD_SUBREAPER in prctl(2)), for the next
// round. The pid of a child is no other process's, as nothing else waits for it.
type ending struct {
	m    *Monitor
	exit exitDeadline
	// started are the children that this process has started, by pid. A sudo among
	// them ends with the jacamar below it.
	started map[int]*Child
	account Account
	begun   int
	err     error // why nothing can be done as the account
	first   int   // the pid of the child whose status is kept, 0 once it is
	status  unix.WaitStatus
	used    proctree.Usage // by all children that have ended
	// killed means that a child was seen killed since the last round.
	killed bool
	// nextLook is when whole trees are ended again, and not the children alone.
	nextLook time.Time
	// may reports whether this process may signal a child.
	may func(pid int) bool
}

func (m *Monitor) ending(c *Child, exit exitDeadline) *ending {
	return &ending{m: m, exit: exit, started: map[int]*Child{c.PID: c}, first: c.PID, may: mayKill}
}

func mayKill(pid int) bool { return unix.Kill(pid, 0) != unix.EPERM }

// run returns the processes that are left once limit has passed without one of them
// being killed, or most in any case. The time that signalling takes does not count to
// limit: among hundreds of busy processes the start of another one alone can exceed it.
func (e *ending) run(limit, most time.Duration) []proctree.Sight {
	last := time.Now().Add(most)
	deadline := earlier(time.Now().Add(limit), last)
	for pause := minPause; ; pause = e.wait(pause, deadline) {
		e.reap()
		if e.killed {
			e.killed, deadline = false, earlier(time.Now().Add(limit), last)
		}
		kids := e.kids()
		switch {
		case !time.Now().Before(deadline):
			e.drop()
			return e.looks(kids)
		case len(kids) > 0:
			begun := time.Now()
			e.kill(kids)
			deadline = earlier(deadline.Add(time.Since(begun)), last)
		case e.account == nil:
			return nil
		default:
			e.drop()
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
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
		var (
			status unix.WaitStatus
			usage  unix.Rusage
		)
		pid, _ := unix.Wait4(-1, &status, unix.WNOHANG, &usage)
		if pid <= 0 {
			return
		}
		e.m.before = slices.DeleteFunc(e.m.before, func(old int) bool { return old == pid })
		if pid == e.first {
			e.status, e.first = status, 0 // the next process with this pid is another one
		}
		delete(e.started, pid)
		e.used.Add(usage)
		e.killed = e.killed || status.Signal() == unix.SIGKILL
	}
}

// kids are the children of this process that belong to the job.
func (e *ending) kids() []int {
	spared := slices.Clone(e.m.before)
	if e.account != nil {
		spared = append(spared, e.account.Starter())
	}
	return slices.DeleteFunc(proctree.Own(), func(pid int) bool { return slices.Contains(spared, pid) })
}

// kill kills the children, and when it is time for that all that is below them.
func (e *ending) kill(kids []int) {
	begun := time.Now()
	tree := begun.After(e.nextLook)
	own, denied := e.divide(kids)
	switch {
	case len(own) == 0:
	case tree:
		proctree.KillTree(begun.Add(stopLimit), func() []int {
			e.reap()
			own, _ := e.divide(e.kids())
			return own
		})
	default:
		proctree.KillAll(own, false)
	}
	e.killAsAccount(denied, tree)
	if tree {
		e.nextLook = time.Now().Add(lookShare * time.Since(begun))
	}
}

// divide returns the children that this process is to signal, and those that it may
// not, which are left to the account where there is one.
func (e *ending) divide(kids []int) (own, denied []int) {
	if e.m.Account == nil {
		return kids, nil
	}
	for _, pid := range kids {
		if e.may(pid) {
			own = append(own, pid)
		} else {
			denied = append(denied, pid)
		}
	}
	return own, denied
}

func (e *ending) killAsAccount(denied []int, tree bool) {
	pids := e.targets(denied)
	if tree {
		pids = append(pids, denied...) // a sudo is not killed, but what is below it
	}
	e.asAccount(ipc.Condemned{PIDs: pids, Below: tree})
	for _, pid := range denied {
		// A sudo stops itself when its command was stopped. It is in this session, whose
		// members may continue each other (kill(2)).
		_ = unix.Kill(pid, unix.SIGCONT)
	}
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

// asAccount sends SIGKILL as the account, by a process of its own that is started again
// after an error.
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
		e.exit = e.exit.after(stopAsked, time.Now())
	case <-time.After(min(pause, time.Until(deadline))):
	}
	return max(pause, min(2*pause, maxPause))
}

// Reaper is a jacamar that ends processes as its account, for a process that may
// neither do that nor change ids.
type Reaper struct {
	child *Child
	end   *ipc.ParentConn
}

// reaperLimit is how long a reaper may take for its start, and for each answer: while
// others start processes without pause, it gets a hundredth of a processor, and reading
// /proc takes long. It is a process of the account, whose others can stop it.
const reaperLimit = 10 * time.Second

// NewReaper sends a jacamar that was started the request to signal processes. On an error
// it ends that jacamar.
func NewReaper(c *Child, request ipc.Request) (*Reaper, error) {
	request.SubStage, request.Reap = "", true
	r := &Reaper{c, ipc.NewParentConn(c.Socket)}
	err := c.limit(reaperLimit)
	if err == nil {
		err = r.end.Send(request, nil)
	}
	var hello ipc.Hello
	if err == nil {
		hello, err = r.end.Greeting()
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("cannot signal as the account: %w", err)
	}
	c.meet(hello)
	return r, nil
}

// Kill implements Account.
func (r *Reaper) Kill(c ipc.Condemned) error {
	if err := r.end.Kill(c); err != nil {
		return fmt.Errorf("cannot signal as the account: %w", err)
	}
	return nil
}

// Starter implements Account.
func (r *Reaper) Starter() int { return r.child.PID }

// Close implements Account.
func (r *Reaper) Close() *Child {
	r.child.Close()
	return r.child
}
