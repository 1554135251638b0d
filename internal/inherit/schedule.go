package inherit

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// resetPolicy takes a real-time policy away, which can hold a processor permanently.
// What a service gives to be less urgent than others, its jobs have as well.
func resetPolicy(*Thread, *Start) error {
	policy, err := schedulingPolicy()
	if err != nil || !realTime(policy) {
		return err
	}
	// SCHED_RESET_ON_FORK cannot be taken off without a privilege; the child has none.
	ordinary := unix.SCHED_NORMAL | policy&unix.SCHED_RESET_ON_FORK
	var parameters struct{ priority int32 }
	return call(unix.SYS_SCHED_SETSCHEDULER, 0, uintptr(ordinary), uintptr(unsafe.Pointer(&parameters)))
}

func verifyPolicy(Start, job.UID) error {
	policy, err := schedulingPolicy()
	if err == nil && realTime(policy) {
		err = fmt.Errorf("it is %d", policy)
	}
	return err
}

func schedulingPolicy() (int, error) {
	policy, _, errno := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(policy), nil
}

// realTime reports whether a policy is before all ordinary ones (sched(7)).
func realTime(policy int) bool {
	switch policy &^ unix.SCHED_RESET_ON_FORK {
	case unix.SCHED_FIFO, unix.SCHED_RR, unix.SCHED_DEADLINE:
		return true
	}
	return false
}

// raiseNice takes a preference of the service away; to be nicer is for the site.
func raiseNice(*Thread, *Start) error {
	nice, err := niceValue()
	if err != nil || nice >= 0 {
		return err
	}
	return unix.Setpriority(unix.PRIO_PROCESS, 0, 0)
}

// verifyNice accepts what a PAM session has set behind sudo (limits.conf(5)).
func verifyNice(s Start, _ job.UID) error {
	nice, err := niceValue()
	if err == nil && nice < 0 && !s.Sudo {
		err = fmt.Errorf("it is %d", nice)
	}
	return err
}

// niceValue of this thread. The system call returns 20 minus it (getpriority(2)).
func niceValue() (int, error) {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	return 20 - raw, err
}

// Classes of ioprio_set(2), above the 13 bits of the level.
const (
	ioShift    = 13
	ioIdle     = 3
	ioThisTask = 1 // IOPRIO_WHO_PROCESS
)

// resetIOPriority lets the nice value decide again, as at a login. The idle class
// stays: it is less than that.
func resetIOPriority(*Thread, *Start) error {
	priority, err := ioPriority()
	if err != nil {
		return noIOPriority(err)
	}
	if priority>>ioShift == ioIdle {
		return nil
	}
	return call(unix.SYS_IOPRIO_SET, ioThisTask, 0, 0)
}

func verifyIOPriority(Start, job.UID) error {
	priority, err := ioPriority()
	if err == nil && judgeIOPriority(priority) {
		err = fmt.Errorf("it is %#x", priority)
	}
	return noIOPriority(err)
}

// judgeIOPriority reports whether a priority is before that of a login. A kernel
// before 5.20 reports the best-effort class, level 4, for none.
func judgeIOPriority(priority int) bool {
	const realTime, bestEffort, middle = 1, 2, 4
	class, level := priority>>ioShift, priority&(1<<ioShift-1)
	return class == realTime || class == bestEffort && level < middle
}

func ioPriority() (int, error) {
	priority, _, errno := unix.RawSyscall(unix.SYS_IOPRIO_GET, ioThisTask, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(priority), nil
}

// noIOPriority accepts a kernel that has none (CONFIG_BLOCK).
func noIOPriority(err error) error {
	if errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// slack is the kernel's own for a timer of an ordinary process, in nanoseconds
// (PR_SET_TIMERSLACK in prctl(2)).
const slack = 50000

// resetTimerSlack sets it; that of the service would be the default of all children.
func resetTimerSlack(*Thread, *Start) error {
	return unix.Prctl(unix.PR_SET_TIMERSLACK, slack, 0, 0, 0)
}

func verifyTimerSlack(Start, job.UID) error {
	is, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err == nil && is != slack {
		err = fmt.Errorf("it is %d", is)
	}
	return err
}

func call(number, a, b, c uintptr) error {
	if _, _, errno := unix.RawSyscall(number, a, b, c); errno != 0 {
		return errno
	}
	return nil
}
