package proctree

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Kill sends SIGKILL to pid and to its process group. A signal to a group is
// atomic against fork(2): of processes that fork and exit without pause none
// escapes. Groups of this process's own session are spared, as they may have
// members that this process did not start. The caller verifies what pid stands for
// (see Own). A process that has ended is not an error.
func Kill(pid int) error { return signalGroup(pid, unix.SIGKILL) }

func signalGroup(pid int, sig unix.Signal) error {
	if pid <= 1 {
		return unix.EINVAL // a number that stands for many processes, or init
	}
	if group, err := unix.Getpgid(pid); err == nil && group > 1 && !ownSession(pid) {
		_ = unix.Kill(-group, sig)
	}
	return gone(unix.Kill(pid, sig))
}

func ownSession(pid int) bool {
	theirs, err := unix.Getsid(pid)
	if err != nil {
		return true
	}
	own, err := unix.Getsid(0)
	return err != nil || own == theirs
}

// KillAll is Kill for each, or with below KillTree for all.
func KillAll(pids []int, below bool) {
	if below {
		KillTree(time.Now().Add(stopLimit), func() []int { return pids })
		return
	}
	for _, pid := range pids {
		_ = Kill(pid)
	}
}

// stopLimit bounds how long KillAll and EndMarked stop processes before they kill them.
const stopLimit = time.Second

// KillTree ends the roots and every process below them that /proc shows to this
// thread. The roots may be hidden themselves.
//
// It first stops them all, parents before their children, and looks again until
// nothing is new. A stopped process starts no others, and keeps its place under a
// limit on processes, which a fork bomb would fill again. Then it kills them,
// children first: a group whose last parent outside of it ends is continued
// (setpgid(2) on orphaned process groups).
//
// roots is called for each look and once more before the roots are killed. The
// pids that it returns must not become those of other processes before its next
// call (see Own). After the deadline nothing more is stopped.
func KillTree(deadline time.Time, roots func() []int) {
	t := tree{stopped: map[int]bool{}, seen: map[int]uint64{}}
	for look := true; ; {
		look = t.stopRoots(deadline, roots) || look
		if !look || !time.Now().Before(deadline) {
			break
		}
		look = t.stopBelow(roots(), deadline)
	}
	for _, m := range slices.Backward(t.below) {
		m.killAfterVisit()
	}
	for _, pid := range roots() {
		_ = Kill(pid)
	}
}

// tree is what KillTree has stopped.
type tree struct {
	stopped map[int]bool   // the roots, by pid
	below   []Member       // parents first; their visit is over
	seen    map[int]uint64 // the start of each of them, by pid
}

// stopRoots stops the roots until none is new, and reports whether one was.
func (t *tree) stopRoots(deadline time.Time, roots func() []int) (some bool) {
	untilNoneIsNew(deadline, func() (fresh int) {
		for _, pid := range roots() {
			if !t.stopped[pid] {
				t.stopped[pid], some = true, true
				fresh++
				_ = signalGroup(pid, unix.SIGSTOP)
			}
		}
		return fresh
	})
	return some
}

// untilNoneIsNew calls look until it finds none that is new, or until the deadline.
func untilNoneIsNew(deadline time.Time, look func() (fresh int)) {
	for time.Now().Before(deadline) && look() > 0 {
	}
}

// stopBelow looks once, stops what is new below the roots, and reports whether
// something was.
func (t *tree) stopBelow(roots []int, deadline time.Time) (some bool) {
	walk(roots, deadline, func(m Member) {
		if t.seen[m.PID] == m.Start {
			return
		}
		_ = m.Signal(unix.SIGSTOP)
		t.seen[m.PID], some = m.Start, true
		t.below = append(t.below, m)
	})
	return some
}

// killAfterVisit kills a member whose visit is over, if it is still there.
func (m Member) killAfterVisit() {
	fd, err := open(m.PID)
	if err != nil {
		return
	}
	m.fd = fd
	defer m.Close()
	if now, ok := readStat(m.PID); ok && now.start == m.Start {
		_ = m.Signal(unix.SIGKILL)
	}
}
