// Package lockdown puts the process that the runner started into a known state
// before it looks at anything: whoever started it chose its environment, its
// descriptors, its signals and its limits.
package lockdown

import (
	"fmt"
	"math"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Inherited is what the caller gave and this process does without.
type Inherited struct {
	Environ []string
	// Core is the limit on core files, which a job must have as it was.
	Core unix.Rlimit
}

// Enter empties the environment and returns what it was. From here on no library
// can be steered by a variable (SSL_CERT_FILE, HTTPS_PROXY, GODEBUG, TMPDIR, …),
// no descriptor beyond 2 reaches a child, files are made private, no signal is
// ignored, and no other process of the caller may look into this one's memory or
// make it dump core.
func Enter() (was Inherited, err error) {
	was.Environ = os.Environ()
	os.Clearenv()
	unix.Umask(0o077)
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return was, fmt.Errorf("cannot seal the inherited descriptors: %w", err)
	}
	if was.Core, err = forbidCoreDumps(); err != nil {
		return was, fmt.Errorf("cannot forbid core dumps: %w", err)
	}
	if err := resetSignals(); err != nil {
		return was, err
	}
	if err := os.Chdir("/"); err != nil {
		return was, fmt.Errorf("cannot leave the caller's directory: %w", err)
	}
	return was, nil
}

// forbidCoreDumps also makes the process's files in /proc root's own, and keeps debuggers
// off (PR_SET_DUMPABLE in prctl(2)). Only the soft limit is lowered: a job's can
// then be what it was.
func forbidCoreDumps() (was unix.Rlimit, err error) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return was, err
	}
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &was); err != nil {
		return was, err
	}
	return was, unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 0, Max: was.Max})
}

// sigAction is the kernel's struct sigaction, which on all of Go's 64-bit Linux
// architectures begins with the handler and fits into this.
type sigAction struct {
	handler uintptr
	rest    [7]uint64
}

const (
	sigIgn  = 1 // SIG_IGN
	setSize = 8 // sizeof(sigset_t) in the kernel, 64 signals
	signals = 64
)

// resetSignals gives every signal that the caller had ignored its default action
// again: an ignored signal stays ignored over execve(2), and a job whose TERM,
// PIPE or HUP are ignored does not end as its author expects.
func resetSignals() error {
	for n := 1; n <= signals; n++ {
		var is sigAction
		if err := sigaction(n, nil, &is); err != nil {
			return fmt.Errorf("cannot read the action of signal %d: %w", n, err)
		}
		if is.handler != sigIgn {
			continue
		}
		if err := sigaction(n, new(sigAction), nil); err != nil {
			return fmt.Errorf("cannot heed signal %d: %w", n, err)
		}
	}
	return nil
}

func sigaction(n int, set, was *sigAction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(was)), setSize, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
