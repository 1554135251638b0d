package executor

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/proctree"
)

// limits are those at which the kernel ends a process of the script. Login profiles set
// them, often those of a machine where people log in.
type limits struct{ seconds, bytes uint64 }

var unlimited = limits{unix.RLIM_INFINITY, unix.RLIM_INFINITY}

// limitsBelow returns the limits of the login shell, which is the child of the guard.
func limitsBelow(guard int) limits {
	for _, pid := range proctree.Children(guard) {
		return limits{limitOf(pid, unix.RLIMIT_CPU), limitOf(pid, unix.RLIMIT_FSIZE)}
	}
	return unlimited
}

func limitOf(pid, resource int) uint64 {
	var limit unix.Rlimit
	if unix.Prlimit(pid, resource, nil, &limit) != nil {
		return unix.RLIM_INFINITY
	}
	return limit.Cur
}

// hint names the limit that may have ended a script with this exit code, "" for none. The
// kernel sends SIGXCPU at the soft limit, and SIGKILL where that is the hard one as well
// (setrlimit(2)); used is the processor time of all processes of the script.
func (l limits) hint(code int, used time.Duration) string {
	const whence = "see where your login profiles, or those of this machine, set it"
	switch {
	case code == 128+int(unix.SIGXFSZ) && l.bytes != unix.RLIM_INFINITY:
		return fmt.Sprintf("a file of the script may have at most %d bytes (ulimit -f): %s", l.bytes, whence)
	case code != 128+int(unix.SIGXCPU) && code != 128+int(unix.SIGKILL), l.seconds > uint64(used.Seconds()+1):
		return ""
	}
	return fmt.Sprintf("a process of the script may use at most %d s of processor time (ulimit -t): %s", l.seconds, whence)
}
