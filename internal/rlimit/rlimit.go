// Package rlimit sets the resource limits that a site configures for its jobs
// (getrlimit(2)). PAM would set them at a login; without a login nothing else does.
package rlimit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// Unlimited is RLIM_INFINITY.
const Unlimited = math.MaxUint64

// Range is a soft and a hard limit in the unit of its resource: bytes, seconds,
// or a count. The zero value means "not configured", which differs from unlimited.
type Range struct {
	set        bool
	Soft, Hard uint64
}

// IsSet reports whether a limit is configured.
func (r Range) IsSet() bool { return r.set }

// ParseRange reads "SOFT:HARD", or one value for both. A value is a number, with an
// optional K, M, G or T for powers of 1024, or "unlimited".
func ParseRange(s string) (Range, error) {
	soft, hard, two := strings.Cut(s, ":")
	if !two {
		hard = soft
	}
	r := Range{set: true}
	var err error
	if r.Soft, err = parseValue(soft); err != nil {
		return Range{}, err
	}
	if r.Hard, err = parseValue(hard); err != nil {
		return Range{}, err
	}
	if r.Soft > r.Hard {
		return Range{}, fmt.Errorf("%q has a soft limit over the hard one", job.Clip(s))
	}
	return r, nil
}

const unlimitedText = "unlimited"

func parseValue(s string) (uint64, error) {
	if s == unlimitedText {
		return Unlimited, nil
	}
	n, ok := job.ParseBytes(s)
	if !ok {
		return 0, fmt.Errorf("%q is not a limit: write a number such as \"1024\" or \"8M\", or %q, or two of them as \"SOFT:HARD\"", job.Clip(s), unlimitedText)
	}
	return uint64(n), nil
}

// String returns "SOFT:HARD".
func (r Range) String() string { return format(r.Soft) + ":" + format(r.Hard) }

func format(n uint64) string {
	if n == Unlimited {
		return unlimitedText
	}
	return strconv.FormatUint(n, 10)
}

// MarshalText implements encoding.TextMarshaler.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseRange's checks.
func (r *Range) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRange(string(b))
	return err
}

// Limit is the limit on one resource.
type Limit struct {
	Resource string // as in limits.conf(5)
	Range
}

// resources are the names of limits.conf(5), and rttime, which it lacks.
var resources = [...]struct {
	name   string
	number int
}{
	{"as", unix.RLIMIT_AS},
	{"core", unix.RLIMIT_CORE},
	{"cpu", unix.RLIMIT_CPU},
	{"data", unix.RLIMIT_DATA},
	{"fsize", unix.RLIMIT_FSIZE},
	{"locks", unix.RLIMIT_LOCKS},
	{"memlock", unix.RLIMIT_MEMLOCK},
	{"msgqueue", unix.RLIMIT_MSGQUEUE},
	{"nice", unix.RLIMIT_NICE},
	{"nofile", unix.RLIMIT_NOFILE},
	{"nproc", unix.RLIMIT_NPROC},
	{"rss", unix.RLIMIT_RSS},
	{"rtprio", unix.RLIMIT_RTPRIO},
	{"rttime", unix.RLIMIT_RTTIME},
	{"sigpending", unix.RLIMIT_SIGPENDING},
	{"stack", unix.RLIMIT_STACK},
}

func resourceNumber(name string) (int, bool) {
	for _, r := range resources {
		if r.name == name {
			return r.number, true
		}
	}
	return 0, false
}

// String returns "RESOURCE=SOFT:HARD".
func (l Limit) String() string { return l.Resource + "=" + l.Range.String() }

// Set applies the limit to a process; pid 0 is this one. Raising a hard limit and
// changing a process of another account need CAP_SYS_RESOURCE.
func (l Limit) Set(pid int) error {
	resource, ok := resourceNumber(l.Resource)
	if !ok {
		return fmt.Errorf("%q is not a resource with a limit", job.Clip(l.Resource))
	}
	err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: l.Soft, Max: l.Hard}, nil)
	switch {
	case errors.Is(err, syscall.ESRCH):
		return nil // the process has ended; the caller learns that by waiting for it
	case err != nil:
		return fmt.Errorf("%s: %w%s", l, err, hardLimitNote(err, resource, pid))
	}
	return nil
}

// RaiseHard raises this process's hard limit to that of l if it is lower, so that a
// child can set l itself. Raising needs CAP_SYS_RESOURCE.
func (l Limit) RaiseHard() error {
	resource, ok := resourceNumber(l.Resource)
	if !ok {
		return fmt.Errorf("%q is not a resource with a limit", job.Clip(l.Resource))
	}
	var has unix.Rlimit
	if err := unix.Getrlimit(resource, &has); err != nil || has.Max >= l.Hard {
		return err
	}
	return Limit{l.Resource, Range{true, has.Cur, l.Hard}}.Set(0)
}

func hardLimitNote(err error, resource, pid int) string {
	var has unix.Rlimit
	if !errors.Is(err, syscall.EPERM) || unix.Prlimit(pid, resource, nil, &has) != nil {
		return ""
	}
	return " (the hard limit is " + format(has.Max) + ")"
}

// RaiseStack raises this process's soft stack limit to the hard one. The kernel
// lowers the soft limit to 8 MiB when a program with a setuid bit or file
// capabilities starts (see bprm->secureexec in the kernel's fs/exec.c).
func RaiseStack() error {
	var has unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &has); err != nil {
		return fmt.Errorf("stack: %w", err)
	}
	return Limit{"stack", Range{true, has.Max, has.Max}}.Set(0)
}
