package subprocess

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// StartError reports that a helper could not be started.
type StartError struct{ Err error }

func (e StartError) Error() string { return "cannot start it: " + e.Err.Error() }

// Unwrap returns the system's error.
func (e StartError) Unwrap() error { return e.Err }

// TimeoutError reports that a helper was killed at its time limit.
type TimeoutError struct{ Limit time.Duration }

func (e TimeoutError) Error() string { return fmt.Sprintf("timed out after %s", e.Limit) }

// OutputError reports that a helper was killed because it printed too much.
type OutputError struct{ Limit int }

func (e OutputError) Error() string { return fmt.Sprintf("printed more than %d bytes", e.Limit) }

// HeldError reports that a helper left a process in another session that still holds
// its standard output: the output may be incomplete.
type HeldError struct{}

func (HeldError) Error() string { return "left a process behind that holds its output" }

// LimitError reports a resource limit that could make the output of a helper
// incomplete: a name service that cannot open a file reports no groups and no error.
type LimitError struct {
	What      string
	Has, Need uint64
}

func (e LimitError) Error() string {
	return fmt.Sprintf("its limit on %s is %d, below %d: raise it by ulimit or Limit…= in the runner's unit", e.What, e.Has, e.Need)
}

// minimumLimits are the soft limits with which every helper gives complete output, with
// a wide margin: helpers need at most a twentieth.
var minimumLimits = []struct {
	resource int
	what     string
	need     uint64
}{
	{unix.RLIMIT_NOFILE, "open files", 64},
	{unix.RLIMIT_NPROC, "processes", 64},
	{unix.RLIMIT_AS, "address space (bytes)", 1 << 30},
	{unix.RLIMIT_DATA, "data (bytes)", 256 << 20},
	{unix.RLIMIT_STACK, "stack (bytes)", 1 << 20},
	{unix.RLIMIT_FSIZE, "file size (bytes)", 1 << 20},
	{unix.RLIMIT_CPU, "processor time (s)", 60},
	{unix.RLIMIT_SIGPENDING, "pending signals", 64},
}

// checkLimits checks the limits that a helper with other ids has inherited. It reads
// those of the helper: other processes of this process's account can change those of
// this process at any time (prlimit(2)), but not those of the helper.
func (c Command) checkLimits(pid int) error {
	if c.As == nil {
		return nil
	}
	for _, f := range minimumLimits {
		var is unix.Rlimit
		if err := unix.Prlimit(pid, f.resource, nil, &is); err != nil {
			return fmt.Errorf("cannot read its limit on %s: %w", f.what, err)
		}
		if is.Cur < f.need {
			return LimitError{f.what, is.Cur, f.need}
		}
	}
	return nil
}
