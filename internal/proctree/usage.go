package proctree

import (
	"time"

	"golang.org/x/sys/unix"
)

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
