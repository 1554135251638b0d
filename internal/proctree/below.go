package proctree

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// KillBelow sends SIGKILL to all processes below the roots that /proc shows to this
// thread, the roots excepted. It is for what a process has started that does not
// end: no other becomes their parent, and the roots may be hidden themselves.
func KillBelow(roots ...int) {
	for _, n := range snapshot().below(roots) {
		n.kill()
	}
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

// below returns the processes below the roots, each once. A snapshot is not taken at
// one moment: a parent that is younger than its child has the pid of the real one,
// which has ended meanwhile.
func (t table) below(roots []int) (all []node) {
	seen := map[int]bool{}
	var queue []node
	for _, pid := range roots {
		seen[pid] = true
		queue = append(queue, node{pid: pid})
	}
	for ; len(queue) > 0; queue = queue[1:] {
		for _, n := range t[queue[0].pid] {
			if !seen[n.pid] && n.stat.start >= queue[0].stat.start {
				seen[n.pid] = true
				all, queue = append(all, n), append(queue, n)
			}
		}
	}
	return all
}

// kill sends SIGKILL if the process is still the one of the snapshot.
func (n node) kill() {
	fd, err := unix.PidfdOpen(n.pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if now, ok := readStat(n.pid); ok && now.start == n.stat.start && now.parent == n.stat.parent {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}
