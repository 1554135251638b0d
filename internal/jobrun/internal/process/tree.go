package process

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/proctree"
)

// Sweep ends every descendant: TERM as soon as it is seen, KILL when grace is
// over or hurry is closed. It returns how many there were, and false when some
// are left some seconds after they were sent KILL.
func (f *Reaper) Sweep(grace time.Duration, hurry <-chan struct{}) (found int, ended bool) {
	return f.SweepExcept(nil, grace, hurry)
}

// SweepExcept is Sweep without TERM for the processes that spare reports, nil for none:
// those that serve others, and end after them.
func (f *Reaper) SweepExcept(spare func(pid int) bool, grace time.Duration, hurry <-chan struct{}) (found int, ended bool) {
	if spare == nil {
		spare = func(int) bool { return false }
	}
	signalled := map[int]bool{}
	f.request(signalled, spare, time.Now().Add(grace), hurry)
	ended = f.kill(signalled)
	return len(signalled), ended
}

const (
	// round is how long a sweep waits for a child to end before it looks again for
	// descendants that came up meanwhile. It also waits for walkShare times as long as
	// the look took: a tree of thousands is not to cost a processor.
	round     = 20 * time.Millisecond
	walkShare = 5
	// afterKill is how long killed processes may take to go: one in an
	// uninterruptible wait (a hung file server) does not die.
	afterKill = 3 * time.Second
	// stopLimit bounds how long processes are stopped before they are killed.
	stopLimit = time.Second
)

// request sends TERM to every descendant, once, until none is left, the deadline
// has passed or hurry is closed.
func (f *Reaper) request(signalled map[int]bool, spare func(int) bool, deadline time.Time, hurry <-chan struct{}) {
	late := time.After(time.Until(deadline))
	for !f.Empty() {
		begun := time.Now()
		f.terminate(signalled, spare, deadline)
		select {
		case <-f.alone:
		case <-time.After(round + walkShare*time.Since(begun)):
		case <-hurry:
			return
		case <-late:
			return
		}
	}
}

// terminate sends TERM to the descendants that were not sent it yet. CONT lets a stopped
// one act on it.
func (f *Reaper) terminate(signalled map[int]bool, spare func(int) bool, deadline time.Time) {
	f.eachChild(func(pid int) {
		if !signalled[pid] && !spare(pid) {
			signalled[pid] = true
			_ = unix.Kill(pid, unix.SIGTERM)
			_ = unix.Kill(pid, unix.SIGCONT)
		}
	})
	proctree.Walk(deadline, func(m proctree.Member) {
		if !signalled[m.PID] && !spare(m.PID) {
			signalled[m.PID] = true
			_ = m.Signal(unix.SIGTERM)
			_ = m.Signal(unix.SIGCONT)
		}
	})
}

// kill ends the children with all that is below them, and then what becomes a child
// as they end, until none is left. It returns false when some are after afterKill.
func (f *Reaper) kill(signalled map[int]bool) bool {
	late, nextLook := time.After(afterKill), time.Time{}
	for !f.Empty() {
		if begun := time.Now(); begun.After(nextLook) {
			f.killTree(signalled)
			nextLook = time.Now().Add(round + walkShare*time.Since(begun))
		} else {
			f.eachChild(func(pid int) { signalled[pid] = true; _ = proctree.Kill(pid) })
		}
		select {
		case <-f.collected:
		case <-f.alone:
		case <-time.After(max(round, time.Until(nextLook))):
		case <-late:
			return false
		}
	}
	return true
}

// killTree holds the lock, and so collects what ends meanwhile.
func (f *Reaper) killTree(signalled map[int]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	proctree.KillTree(time.Now().Add(stopLimit), func() []int {
		f.collectAll()
		kids := proctree.Own()
		for _, pid := range kids {
			signalled[pid] = true
		}
		return kids
	})
}

// eachChild visits the children, those that /proc hides included. It holds the
// lock, without which one could be collected and its pid be another process's.
func (f *Reaper) eachChild(visit func(pid int)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pid := range proctree.Own() {
		visit(pid)
	}
}

// Empty reports whether this process has no children at all.
func (f *Reaper) Empty() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	return err == unix.ECHILD
}

// Known is a set of processes that were there at some moment.
type Known map[proctree.Process]bool

// Snapshot returns the descendants that are there now, without those whose pids
// are given.
func (f *Reaper) Snapshot(without ...int) Known {
	known := Known{}
	for _, pid := range proctree.Descendants(os.Getpid()) {
		if p, ok := proctree.Find(pid); ok {
			known[p] = true
		}
	}
	for _, pid := range without {
		if p, ok := proctree.Find(pid); ok {
			delete(known, p)
		}
	}
	return known
}

// others counts the descendants that are neither known nor below a known one.
func (k Known) others() (n int) {
	for queue := proctree.Children(os.Getpid()); len(queue) > 0; queue = queue[1:] {
		p, ok := proctree.Find(queue[0])
		if ok && !k[p] {
			n++
			queue = append(queue, proctree.Children(queue[0])...)
		}
	}
	return n
}

// Await waits at most for limit until only known processes, and what these have
// started, are left. It returns how many others there still are. A process that
// is not known is below a child of this one that is not known either, so there is
// an event for every change.
func (f *Reaper) Await(limit time.Duration, hurry <-chan struct{}, known Known) (others int) {
	for late := time.After(limit); !f.Empty(); {
		if others = known.others(); others == 0 {
			return 0
		}
		select {
		case <-f.collected:
		case <-hurry:
			return others
		case <-late:
			return others
		}
	}
	return 0
}

// Tasks are the processes and threads of a user on this host. At the limit on them,
// RLIMIT_NPROC, fork(2) and clone(2) fail with EAGAIN.
type Tasks struct {
	Count int
	Limit int // 0 for none
}

// CountTasks counts those of this process's user, and finds their limit. Nothing is
// counted where there is no limit.
func CountTasks() Tasks { return countBelow(taskLimit(), ownTasks) }

// TasksBefore is a count for a caller that starts that many more. Those of the whole host
// count instead of the user's where even they leave enough: that is one file to read, and
// the user's alone are one for each process of the host.
func TasksBefore(more int) Tasks { return tasksBefore(more, taskLimit(), proctree.AllTasks, ownTasks) }

func tasksBefore(more, limit int, host func() (int, bool), own func() int) Tasks {
	if all, ok := host(); ok && !(Tasks{all, limit}).Short(more) {
		return Tasks{all, limit}
	}
	return countBelow(limit, own)
}

func countBelow(limit int, own func() int) Tasks {
	if limit == 0 {
		return Tasks{}
	}
	return Tasks{own(), limit}
}

func ownTasks() int { return proctree.Tasks(uint32(os.Getuid())) }

// taskLimit is the limit of this process's user, 0 for none.
func taskLimit() int {
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NPROC, &limit)
	return finite(limit.Cur)
}

// finite is a limit, 0 for one that no host reaches: the kernel has at most 2^22 tasks
// (pid_max in proc_sys_kernel(5)).
func finite(limit uint64) int {
	if limit >= 1<<31 {
		return 0
	}
	return int(limit)
}

// Short reports whether that many more exceed the limit.
func (t Tasks) Short(more int) bool { return t.Limit > 0 && t.Count+more > t.Limit }

// refusedError is a start that failed because the account has too many processes. It
// has the failure for the user, and the error of the system call.
type refusedError struct{ public, cause error }

func refused(cause error) error {
	t := CountTasks()
	return refusedError{failure.Crowded(t.Count, uint64(t.Limit), nil), cause}
}

// Error implements error.
func (e refusedError) Error() string { return e.public.Error() }

// Unwrap returns both.
func (e refusedError) Unwrap() []error { return []error{e.public, e.cause} }

// String reports how many there are and how many are allowed.
func (t Tasks) String() string {
	if t.Limit == 0 {
		return "this host starts no more processes"
	}
	return fmt.Sprintf("your account has %d processes and threads on this host, and its limit is %d (ulimit -u)", t.Count, t.Limit)
}
