// Package proctree reads the process tree from /proc and signals processes
// without mistaking one for another. It holds no state.
package proctree

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/procfs"
)

// Process names one process permanently: the kernel uses a pid again, but not
// within the same boot with the same start.
type Process struct {
	PID int `json:"pid"`
	// Start is field 22 of proc_pid_stat(5), in clock ticks since boot.
	Start uint64 `json:"start"`
	// Boot is /proc/sys/kernel/random/boot_id.
	Boot string `json:"boot"`
}

// Find names the process that has the pid now.
func Find(pid int) (Process, bool) {
	stat, ok := readStat(pid)
	if !ok {
		return Process{}, false
	}
	return Process{PID: pid, Start: stat.start, Boot: Boot()}, true
}

// Boot returns the id of the running system, "" where there is none to read.
func Boot() string { return boot() }

// boot reads the id once: it stays the same as long as this process lives.
var boot = sync.OnceValue(func() string {
	text, _ := procfs.Read("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
})

// Gone reports whether p certainly runs no longer on this host; one that only waits
// to be reaped does not run. What cannot be known is not gone. /proc alone does not show
// it: mounted with hidepid, it hides other users' processes as if they had ended.
func (p Process) Gone() bool {
	boot := Boot()
	switch {
	case p.PID <= 0 || p.Boot == "" || boot == "":
		return false
	case p.Boot != boot || unix.Kill(p.PID, 0) == unix.ESRCH:
		return true
	}
	stat, ok := readStat(p.PID)
	return ok && (stat.start != p.Start || stat.ended)
}

// Signal sends sig to p, and never to a stranger who got the pid meanwhile (see Member). A
// process that has ended is not an error.
func (p Process) Signal(sig unix.Signal) error {
	fd, err := open(p.PID)
	if err != nil {
		return gone(err)
	}
	m := Member{p.PID, p.Start, fd}
	defer m.Close()
	if p.Gone() {
		return nil
	}
	return m.Signal(sig)
}

// Own lists this process's own children, those that have ended but were not waited
// for included. It needs no view of them in /proc, and as long as the caller waits
// for none of them, none of the pids is given to another process.
func Own() []int {
	for range rounds {
		// One call instead of one file for each thread, for a process that has none (wait(2)).
		if unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil) == unix.ECHILD {
			break
		}
		if kids := Children(os.Getpid()); len(kids) > 0 {
			return kids
		}
	}
	return nil
}

// Children reads the child list of every thread of pid (proc_pid_task(5)), or where the
// kernel has no such lists (CONFIG_PROC_CHILDREN) the parent of every process. The kernel
// moves the children of a thread that ends to another one, whose list may have been read
// already: with several threads they are read until two rounds agree.
func Children(pid int) []int {
	if !hasLists() {
		return childrenByParent(pid)
	}
	kids, threads := childrenOfThreads(pid)
	for range rounds {
		if threads <= 1 {
			break
		}
		before := kids
		if kids, threads = childrenOfThreads(pid); slices.Equal(before, kids) {
			break
		}
	}
	return kids
}

// rounds bounds how often the lists are read again, as a process can start others without
// pause.
const rounds = 5

func childrenOfThreads(pid int) (kids []int, threads int) {
	entries, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	for _, entry := range entries {
		if tid, err := strconv.Atoi(entry.Name()); err == nil {
			kids = append(kids, childrenOf(pid, tid)...)
		}
	}
	return kids, len(entries)
}

// childrenOf reads the child list of one thread.
func childrenOf(pid, tid int) (kids []int) {
	text, _ := procfs.Read("/proc/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(tid) + "/children")
	for _, field := range bytes.Fields(text) {
		if kid, err := strconv.Atoi(string(field)); err == nil {
			kids = append(kids, kid)
		}
	}
	return kids
}

var hasLists = sync.OnceValue(func() bool {
	_, err := procfs.Read("/proc/self/task/" + strconv.Itoa(os.Getpid()) + "/children")
	return !errors.Is(err, fs.ErrNotExist)
})

func childrenByParent(pid int) (kids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		kid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if stat, ok := readStat(kid); ok && stat.parent == pid {
			kids = append(kids, kid)
		}
	}
	return kids
}

type stat struct {
	parent int
	start  uint64
	ended  bool // all its threads have: a zombie of one thread
}

func readStat(pid int) (stat, bool) {
	text, err := procfs.Read("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	return parseStat(text)
}

// parseStat reads fields 3, 4, 20 and 22 of proc_pid_stat(5). The program's name
// before them may hold spaces and brackets, so the last bracket counts. A process
// whose first thread has ended is a zombie there while others go on.
func parseStat(text []byte) (stat, bool) {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const first = 3 // the number of the field after the name
	if len(fields) <= 22-first {
		return stat{}, false
	}
	parent, err1 := strconv.Atoi(string(fields[4-first]))
	start, err2 := strconv.ParseUint(string(fields[22-first]), 10, 64)
	state, threads := fields[3-first][0], string(fields[20-first])
	ended := state == 'X' || state == 'Z' && (threads == "1" || threads == "0")
	return stat{parent, start, ended}, err1 == nil && err2 == nil
}

// Walk visits every live descendant of this process once, parents before their
// children, in one pass that stops at the deadline. A member is valid during its
// visit. Processes that /proc hides from this account (hidepid in proc(5)) are not
// visited, nor what is below them.
func Walk(deadline time.Time, visit func(Member)) { walk([]int{os.Getpid()}, deadline, visit) }

// walk is Walk for what is below the roots. It reads the lists of children alone: a host
// has many more processes than those of a job.
func walk(roots []int, deadline time.Time, visit func(Member)) {
	tree := map[int]bool{}
	var queue []parent
	for _, pid := range roots {
		tree[pid] = true
		queue = append(queue, parent{pid: pid})
	}
	for ; len(queue) > 0 && time.Now().Before(deadline); queue = queue[1:] {
		for _, pid := range Children(queue[0].pid) {
			if tree[pid] {
				continue
			}
			if start, ok := meet(pid, queue[0], visit); ok {
				tree[pid] = true
				queue = append(queue, parent{pid, start})
			}
		}
	}
}

// parent is a process whose children are listed. That of start 0 is a root, which may be
// hidden, and whose pid is no other process's meanwhile.
type parent struct {
	pid   int
	start uint64
}

// same reports whether the pid is still that of the process.
func (p parent) same() bool {
	now, ok := readStat(p.pid)
	return p.start == 0 || ok && now.start == p.start
}

// meet visits a process that was listed as a child, and returns its start. It returns false
// where the process is not there any more. Both pids can be other processes' by now, in a
// storm of short ones: so the child's parent is read once the child is held, and then
// that parent's start.
func meet(pid int, below parent, visit func(Member)) (start uint64, ok bool) {
	fd, err := open(pid)
	if err != nil {
		return 0, false
	}
	m := Member{PID: pid, fd: fd}
	defer m.Close()
	stat, ok := readStat(pid)
	if !ok || stat.parent != below.pid || !below.same() {
		return 0, false
	}
	if m.Start = stat.start; !stat.ended {
		visit(m)
	}
	return stat.start, true
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

// Usage is what ended processes have used.
type Usage struct {
	// CPU is the user and system time of all of them.
	CPU time.Duration
	// Peak is the largest resident set of one of them, in bytes. A process that was
	// forked begins with that of its parent.
	Peak int64
}

// Add adds what wait4(2) reports of an ended child: it contains the descendants that
// the child has waited for.
func (u *Usage) Add(r unix.Rusage) {
	u.CPU += time.Duration(r.Utime.Nano() + r.Stime.Nano())
	u.Peak = max(u.Peak, r.Maxrss<<10) // in KiB, getrusage(2)
}

// UsageOfChildren is the usage of the children that this process has waited for, and of
// the descendants that they have waited for.
func UsageOfChildren() (u Usage, err error) {
	var r unix.Rusage
	if err = unix.Getrusage(unix.RUSAGE_CHILDREN, &r); err == nil {
		u.Add(r)
	}
	return u, err
}
