package proctree

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/procfs"
)

// EndMarked kills the processes of this account that were started with a pair NAME=VALUE in
// their environment (proc_pid_environ(5)), and those that they start meanwhile. It spares
// those below another process of this program, which ends them itself. It returns those that
// have not ended by the deadline. A process whose environment was replaced is not found.
func EndMarked(pair string, deadline time.Time) []Process {
	for empty := 0; ; time.Sleep(endPause) {
		stopped := stopMarked(pair, deadline)
		left := marked(pair)
		for _, p := range left {
			_ = p.Signal(unix.SIGKILL)
		}
		empty++
		if stopped+len(left) > 0 {
			empty = 0
		}
		if empty == emptyLooks || time.Now().After(deadline) {
			return left
		}
	}
}

// emptyLooks is how many looks in turn find none at the end: processes that are there only
// for a moment are not in every look.
const emptyLooks = 5

// stopMarked stops them, each as soon as it is seen, and looks again until none is new:
// those that start others without pause would do so faster than they are killed, one after
// the other. It returns how many there were.
func stopMarked(pair string, deadline time.Time) int {
	stopped := map[Process]bool{}
	untilNoneIsNew(time.Now().Add(min(stopLimit, time.Until(deadline))), func() (fresh int) {
		eachMarked(pair, func(p Process) {
			if !stopped[p] {
				stopped[p] = true
				fresh++
				_ = p.Signal(unix.SIGSTOP)
			}
		})
		return fresh
	})
	return len(stopped)
}

// endPause is the time that killed processes have before they are looked for again.
const endPause = 5 * time.Millisecond

// marked lists what eachMarked visits.
func marked(pair string) (orphans []Process) {
	eachMarked(pair, func(p Process) { orphans = append(orphans, p) })
	return orphans
}

// eachMarked visits the processes that run and have the pair, without those of a live process
// of this program. The environment of one that has ended is empty.
func eachMarked(pair string, visit func(Process)) {
	s := search{pair: []byte("\x00" + pair + "\x00"), program: name(os.Getpid()), has: map[int]bool{}}
	for _, pid := range newestFirst() {
		if !s.marked(pid) {
			continue
		}
		if stat, ok := readStat(pid); ok && !s.ours(stat.parent) {
			visit(Process{pid, stat.start, Boot()})
		}
	}
}

// newestFirst lists the pids of all processes, the highest first: a process that has just
// been listed may end soon, after it has started another one.
func newestFirst() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.SortFunc(pids, func(a, b int) int { return b - a })
	return pids
}

// search is one look at all processes.
type search struct {
	pair    []byte
	program string
	has     map[int]bool
}

// marked reports whether a process has the pair.
func (s search) marked(pid int) bool {
	has, known := s.has[pid]
	if !known {
		environ, _ := procfs.ReadMost("/proc/"+strconv.Itoa(pid)+"/environ", procfs.MaxEnviron) // nothing of another account's
		has = bytes.Contains(append([]byte{0}, environ...), s.pair)
		s.has[pid] = has
	}
	return has
}

// ours reports whether the first one above, from a pid on, that does not have the pair is
// of this program.
func (s search) ours(above int) bool {
	for range maxDepth {
		if !s.marked(above) {
			return name(above) == s.program
		}
		stat, ok := readStat(above)
		if !ok {
			return false
		}
		above = stat.parent
	}
	return false
}

// maxDepth bounds the way up: a pid may be another process's meanwhile.
const maxDepth = 10_000

// name is a process's, "" for none.
func name(pid int) string {
	text, _ := procfs.Read("/proc/" + strconv.Itoa(pid) + "/stat")
	name, _ := nameAndState(text)
	return name
}
