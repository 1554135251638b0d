package proctree

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Member is a process of a tree, held by a descriptor.
type Member struct {
	PID int
	// Start is that of Process.
	Start uint64
	fd    int
}

// Signal sends sig. A member that has ended is not an error.
func (m Member) Signal(sig unix.Signal) error { return gone(unix.PidfdSendSignal(m.fd, sig, nil, 0)) }

// Walk visits every live descendant of this process once, parents before their
// children, in one pass that stops at the deadline. A member is valid during its
// visit. Processes that /proc hides from this account (hidepid in proc(5)) are not
// visited, nor what is below them.
func Walk(deadline time.Time, visit func(Member)) {
	self := os.Getpid()
	tree := map[int]bool{self: true}
	for queue := []int{self}; len(queue) > 0 && time.Now().Before(deadline); queue = queue[1:] {
		for _, pid := range Children(queue[0]) {
			if !tree[pid] && meet(pid, tree, visit) {
				tree[pid] = true
				queue = append(queue, pid)
			}
		}
	}
}

// meet visits a process that was listed below the tree and returns false where it
// is not there any more. The parent is read once the descriptor is held: were the
// pid another process's by now, its parent would be none of the tree.
func meet(pid int, tree map[int]bool, visit func(Member)) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	stat, ok := readStat(pid)
	if !ok || !tree[stat.parent] {
		return false
	}
	if !stat.ended {
		visit(Member{PID: pid, Start: stat.start, fd: fd})
	}
	return true
}

// Descendants lists the live tree below pid, parents before their children. It is
// a snapshot: by the time that it is used, a pid can be another process's.
func Descendants(pid int) []int {
	var all []int
	seen := map[int]bool{pid: true}
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		for _, kid := range Children(queue[0]) {
			if !seen[kid] {
				seen[kid] = true
				all, queue = append(all, kid), append(queue, kid)
			}
		}
	}
	return all
}
