package proctree

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Member is a process that others wait for, such as one of a tree: its pid can be another
// process's by the time that it is signalled. It is held by a descriptor, or where the kernel
// has none for processes, as before Linux 5.3, it is recognized by its start.
type Member struct {
	PID int
	// Start is that of Process. Hold sets it only where there is no descriptor.
	Start uint64
	fd    int
}

// byStart stands for a descriptor that the kernel does not have.
const byStart = -1

// open opens the descriptor of a process. Whether the kernel has them is decided here alone.
func open(pid int) (fd int, err error) {
	fd, err = unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ENOSYS) {
		return byStart, nil
	}
	return fd, err
}

// Hold holds the process that has the pid now, until Close.
func Hold(pid int) (Member, error) {
	fd, err := open(pid)
	m := Member{PID: pid, fd: fd}
	if err != nil || fd != byStart {
		return m, err
	}
	stat, ok := readStat(pid)
	if !ok {
		return m, hiddenError(pid)
	}
	m.Start = stat.start
	return m, nil
}

// Close gives the process up.
func (m Member) Close() {
	if m.fd != byStart {
		unix.Close(m.fd)
	}
}

// Signal sends sig. A member that has ended is not an error.
func (m Member) Signal(sig unix.Signal) error {
	if m.fd == byStart {
		return gone(m.signalByStart(sig))
	}
	return gone(unix.PidfdSendSignal(m.fd, sig, nil, 0))
}

// signalByStart compares the start right before it signals. A stranger is hit only where the
// process ends in between, its parent waits for it, and the kernel has given away all other
// pids since it gave this one.
func (m Member) signalByStart(sig unix.Signal) error {
	switch now, ok := readStat(m.PID); {
	case ok && now.start == m.Start:
		return unix.Kill(m.PID, sig)
	case !ok && unix.Kill(m.PID, 0) != unix.ESRCH:
		return hiddenError(m.PID)
	}
	return nil
}

// Alive reports whether it runs. One that only waits to be waited for does not.
func (m Member) Alive() bool {
	if m.fd == byStart {
		now, ok := readStat(m.PID)
		return ok && now.start == m.Start && !now.ended
	}
	state := []unix.PollFd{{Fd: int32(m.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(state, 0)
	return err == nil && n == 0
}

// hiddenError is a process whose start cannot be compared.
type hiddenError int

// Error implements error.
func (pid hiddenError) Error() string {
	return fmt.Sprintf("/proc hides process %d, and Linux before 5.3 cannot distinguish a hidden one from another", int(pid))
}

func gone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
