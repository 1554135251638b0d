package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Tasks are the processes and threads of a user on this host. At the limit on them,
// RLIMIT_NPROC, fork(2) and clone(2) fail with EAGAIN.
type Tasks struct {
	Count int
	Limit int // 0 for none
}

// CountTasks counts those of this process's user, and finds their limit. Nothing is
// counted where there is no limit.
func CountTasks() Tasks {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NPROC, &limit) != nil || limit.Cur >= 1<<31 {
		return Tasks{}
	}
	return Tasks{countTasks("/proc", os.Getuid()), int(limit.Cur)}
}

// Short reports whether there is no place for so many more.
func (t Tasks) Short(more int) bool { return t.Limit > 0 && t.Count+more > t.Limit }

// String says how many there are and how many there may be.
func (t Tasks) String() string {
	if t.Limit == 0 {
		return "this host starts no more processes"
	}
	return fmt.Sprintf("your account has %d processes and threads on this host, and its limit is %d (ulimit -u)", t.Count, t.Limit)
}

// countTasks counts the threads of a user's processes as proc(5) shows them; a
// process of one thread counts once.
func countTasks(proc string, uid int) (count int) {
	files, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "status"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if owner, threads := parseTasks(string(text)); owner == uid {
			count += threads
		}
	}
	return count
}

// parseTasks reads a process's real user id, -1 for none, and its number of threads.
func parseTasks(status string) (uid, threads int) {
	uid = -1
	for line := range strings.Lines(status) {
		f := strings.Fields(line)
		switch {
		case len(f) > 1 && f[0] == "Uid:":
			uid = number(f[1])
		case len(f) == 2 && f[0] == "Threads:":
			threads = max(number(f[1]), 0)
		}
	}
	return uid, threads
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}
