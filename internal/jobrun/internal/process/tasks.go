package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/proctree"
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
	return Tasks{proctree.Tasks(uint32(os.Getuid())), int(limit.Cur)}
}

// Short reports whether that many more exceed the limit.
func (t Tasks) Short(more int) bool { return t.Limit > 0 && t.Count+more > t.Limit }

// refusedError is a start that failed because the account has too many processes. It
// has the failure for the user, and the error of the system call.
type refusedError struct{ public, cause error }

func refused(cause error) error {
	t := CountTasks()
	return refusedError{failure.Crowded(t.Count, uint64(t.Limit), nil), cause}
}

// Error implements error.
func (e refusedError) Error() string { return e.public.Error() }

// Unwrap returns both.
func (e refusedError) Unwrap() []error { return []error{e.public, e.cause} }

// String reports how many there are and how many are allowed.
func (t Tasks) String() string {
	if t.Limit == 0 {
		return "this host starts no more processes"
	}
	return fmt.Sprintf("your account has %d processes and threads on this host, and its limit is %d (ulimit -u)", t.Count, t.Limit)
}
