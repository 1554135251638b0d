package rlimit

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Need is the least soft limit on a resource with which every stage runs.
type Need struct {
	Resource string // as in limits.conf(5)
	What     string // for a person
	Least    uint64
}

// Needs returns what jacamar and the programs that jacamar-auth starts need, with a wide
// margin. With less, Go's runtime does not start, a record is cut, or a name service that
// cannot open a file reports no groups and no error.
func Needs() []Need {
	return []Need{
		{"nofile", "open files", 64},
		{"nproc", "processes", 64},
		{"as", "address space (bytes)", 4 << 30},
		{"data", "data (bytes)", 512 << 20},
		{"stack", "stack (bytes)", 1 << 20},
		{"fsize", "file size (bytes)", 64 << 20},
		{"cpu", "processor time (s)", 60},
		{"sigpending", "pending signals", 64},
	}
}

// Shortage is a limit below what is needed.
type Shortage struct {
	Need
	Has uint64
}

// String names the limit and both values.
func (s Shortage) String() string {
	return fmt.Sprintf("limit on %s is %d, below %d", s.What, s.Has, s.Least)
}

// Fix is what raises the limit of a service (systemd.exec(5)), or of what a shell starts.
func (s Shortage) Fix() string {
	return fmt.Sprintf("raise it by Limit%s= in the runner's unit, or by ulimit where a shell starts the runner", strings.ToUpper(s.Resource))
}

// Shortages returns the soft limits of a process that are too low; pid 0 is this one. The
// limits of a process of another account can be read with CAP_SYS_RESOURCE.
func Shortages(pid int) (short []Shortage, err error) {
	for _, n := range Needs() {
		var has unix.Rlimit
		resource, _ := resourceNumber(n.Resource)
		if err := unix.Prlimit(pid, resource, nil, &has); err != nil {
			return nil, fmt.Errorf("cannot read the limit on %s: %w", n.What, err)
		}
		if has.Cur < n.Least {
			short = append(short, Shortage{n, has.Cur})
		}
	}
	return short, nil
}
