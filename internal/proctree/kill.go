package proctree

import (
	"os"

	"golang.org/x/sys/unix"
)

// Kill sends SIGKILL to pid and to its process group. A signal to a group is
// atomic against fork(2): of processes that fork and exit without pause none
// escapes. Groups of this process's own session are spared, as they may have
// members that do not come from it. The caller answers for what pid stands for
// (see Own). A process that has ended is not an error.
func Kill(pid int) error {
	if pid <= 1 {
		return unix.EINVAL // a number that stands for many processes, or init
	}
	if group, err := unix.Getpgid(pid); err == nil && group > 1 && !ownSession(pid) {
		_ = unix.Kill(-group, unix.SIGKILL)
	}
	return gone(unix.Kill(pid, unix.SIGKILL))
}

// KillAll is Kill for each, or with below KillBelow for all.
func KillAll(pids []int, below bool) {
	if below {
		KillBelow(pids...)
		return
	}
	for _, pid := range pids {
		_ = Kill(pid)
	}
}

func ownSession(pid int) bool {
	theirs, err := unix.Getsid(pid)
	if err != nil {
		return true
	}
	own, err := unix.Getsid(0)
	return err != nil || own == theirs
}

// Own lists this process's own children, those that have ended but were not waited
// for included. It needs no view of them in /proc, and as long as the caller waits
// for none of them, none of the pids is given to another process.
func Own() []int { return Children(os.Getpid()) }
