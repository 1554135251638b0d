package proctree

import (
	"os"
	"slices"
	"strconv"
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

// stopLimit bounds how long KillAll stops processes before it kills them.
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
	for _, n := range slices.Backward(t.below) {
		n.signal(unix.SIGKILL)
	}
	for _, pid := range roots() {
		_ = Kill(pid)
	}
}

// tree is what KillTree has stopped.
type tree struct {
	stopped map[int]bool   // the roots, by pid
	below   []node         // parents first
	seen    map[int]uint64 // the start of each of them, by pid
}

// stopRoots stops the roots until none is new, and reports whether one was.
func (t *tree) stopRoots(deadline time.Time, roots func() []int) (some bool) {
	for fresh := true; fresh && time.Now().Before(deadline); {
		fresh = false
		for _, pid := range roots() {
			if !t.stopped[pid] {
				t.stopped[pid], fresh, some = true, true, true
				_ = signalGroup(pid, unix.SIGSTOP)
			}
		}
	}
	return some
}

// stopBelow looks once, stops what is new below the roots, and reports whether
// something was.
func (t *tree) stopBelow(roots []int, deadline time.Time) (some bool) {
	snapshot().walk(roots, func(n node) bool {
		switch {
		case t.seen[n.pid] == n.stat.start:
			return n.same()
		case !time.Now().Before(deadline):
			return false
		}
		if !n.signal(unix.SIGSTOP) {
			return false
		}
		t.seen[n.pid], some = n.stat.start, true
		t.below = append(t.below, n)
		return true
	})
	return some
}

// node is a process in a snapshot.
type node struct {
	pid  int
	stat stat
}

// table has the processes of a snapshot by their parents.
type table map[int][]node

func snapshot() table {
	t := table{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if stat, ok := readStat(pid); ok {
			t[stat.parent] = append(t[stat.parent], node{pid, stat})
		}
	}
	return t
}

// walk visits the processes below the roots, each once, parents before their
// children. The visit reports whether the process is still the one of the
// snapshot: then its pid was no other's since, and the children that were seen
// below that pid are its own.
func (t table) walk(roots []int, visit func(node) bool) {
	seen := map[int]bool{}
	for _, pid := range roots {
		seen[pid] = true
	}
	for queue := slices.Clone(roots); len(queue) > 0; queue = queue[1:] {
		for _, n := range t[queue[0]] {
			if !seen[n.pid] && visit(n) {
				seen[n.pid] = true
				queue = append(queue, n.pid)
			}
		}
	}
}

// same reports whether the process is still the one of the snapshot.
func (n node) same() bool {
	now, ok := readStat(n.pid)
	return ok && now.start == n.stat.start
}

// signal sends a signal if the process is still the one of the snapshot, and
// reports whether it is.
func (n node) signal(sig unix.Signal) bool {
	fd, err := unix.PidfdOpen(n.pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if !n.same() {
		return false
	}
	_ = unix.PidfdSendSignal(fd, sig, nil, 0)
	return true
}
