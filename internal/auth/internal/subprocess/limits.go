package subprocess

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// LimitError says that a resource limit could have made a helper answer less than
// there is: a name service that cannot open a file reports no groups, and no error.
type LimitError struct {
	What      string
	Has, Need uint64
}

func (e LimitError) Error() string {
	return fmt.Sprintf("its limit on %s is %d, below %d (ulimit, or Limit…= in the runner's unit)", e.What, e.Has, e.Need)
}

// floors are the least soft limits under which no helper fails in part, with a
// wide margin: what they need is at most a twentieth of it.
var floors = []struct {
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

// judgeLimits looks at the limits that a helper with ids of its own has inherited.
// It reads them off the helper: those of this process can be changed at any moment
// by whoever has its account (prlimit(2)), the helper's cannot.
func (c Command) judgeLimits(pid int) error {
	if c.As == nil {
		return nil
	}
	for _, f := range floors {
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
