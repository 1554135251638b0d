package inherit

import (
	"fmt"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// unblockSignals: a blocked signal stays blocked over execve(2), and a job that
// does not see TERM does not end as its author expects.
func unblockSignals(*Thread, *Start) error {
	var none unix.Sigset_t
	return unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil)
}

func verifySignals(Start, job.UID) error {
	var blocked unix.Sigset_t
	err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &blocked)
	if err == nil && blocked != (unix.Sigset_t{}) {
		err = fmt.Errorf("some are blocked: %#x", blocked.Val[0])
	}
	return err
}

// askPersonality makes personality(2) return what it is.
const askPersonality = 0xffffffff

// resetPersonality takes another execution domain away, and with it flags such as
// ADDR_NO_RANDOMIZE.
func resetPersonality(*Thread, *Start) error {
	_, err := personality(0)
	return err
}

func verifyPersonality(Start, job.UID) error {
	is, err := personality(askPersonality)
	if err == nil && is != 0 {
		err = fmt.Errorf("it is %#x", is)
	}
	return err
}

func personality(p uintptr) (uintptr, error) {
	was, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, p, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return was, nil
}

// memoryModes are of the address space, which a program has from the one that
// executes it. A kernel that does not have one returns an error.
var memoryModes = [...]struct{ get, set int }{
	{unix.PR_GET_THP_DISABLE, unix.PR_SET_THP_DISABLE},
	{unix.PR_GET_MEMORY_MERGE, unix.PR_SET_MEMORY_MERGE},
}

func resetMemoryModes() error {
	for _, m := range memoryModes {
		if is, _ := unix.PrctlRetInt(m.get, 0, 0, 0, 0); is == 0 {
			continue
		}
		if err := unix.Prctl(m.set, 0, 0, 0, 0); err != nil {
			return err
		}
	}
	return nil
}
