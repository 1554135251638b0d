package batch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// crowded is the error of a program that could not be started. At RLIMIT_NPROC, of
// which threads count as well, fork(2) fails with EAGAIN: then it has how many there
// are and how many there may be.
func crowded(err error) notStarted {
	if !errors.Is(err, unix.EAGAIN) {
		return notStarted{error: err}
	}
	text := fmt.Sprintf("your account has %d processes and threads on this host", tasks("/proc", os.Getuid()))
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NPROC, &limit) == nil && limit.Cur != unix.RLIM_INFINITY {
		text += fmt.Sprintf(", and its limit is %d (ulimit -u)", limit.Cur)
	}
	return notStarted{fmt.Errorf("%w: %s", err, text), true}
}

// tasks counts the threads of a user's processes, which are in proc(5): one of one
// thread counts once.
func tasks(proc string, uid int) (count int) {
	files, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "status"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if owner, threads := status(string(text)); owner == uid {
			count += threads
		}
	}
	return count
}

// status reads a process's real user id and its number of threads, 0 for none.
func status(text string) (uid, threads int) {
	uid = -1
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) > 1 && f[0] == "Uid:":
			uid, _ = strconv.Atoi(f[1])
		case len(f) == 2 && f[0] == "Threads:":
			threads, _ = strconv.Atoi(f[1])
		}
	}
	return uid, threads
}
