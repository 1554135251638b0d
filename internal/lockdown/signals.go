package lockdown

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// action is the kernel's struct sigaction, which on all of Go's 64-bit Linux
// architectures begins with the handler and fits into this.
type action struct {
	handler uintptr
	rest    [7]uint64
}

const (
	ignored = 1 // SIG_IGN
	setSize = 8 // sizeof(sigset_t) in the kernel, 64 signals
	signals = 64
)

// resetSignals gives every signal that the caller had ignored its default action
// again: an ignored signal stays ignored over execve(2), and a job whose TERM,
// PIPE or HUP are ignored does not end as its author expects.
func resetSignals() error {
	for n := 1; n <= signals; n++ {
		var is action
		if err := sigaction(n, nil, &is); err != nil {
			return fmt.Errorf("cannot read the action of signal %d: %w", n, err)
		}
		if is.handler != ignored {
			continue
		}
		if err := sigaction(n, new(action), nil); err != nil {
			return fmt.Errorf("cannot heed signal %d: %w", n, err)
		}
	}
	return nil
}

func sigaction(n int, set, was *action) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(was)), setSize, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
