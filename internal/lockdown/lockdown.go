// Package lockdown puts the process into a known state before it reads anything: the
// caller that started it chose its environment, descriptors, signals and limits.
package lockdown

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Inherited is the state from the caller that this process has removed.
type Inherited struct {
	Environ []string
	// Core is the limit on core files, to be restored for a job.
	Core unix.Rlimit
}

// Enter removes the inherited state and returns it. Afterwards no variable controls a
// library (SSL_CERT_FILE, HTTPS_PROXY, GODEBUG, TMPDIR, …), no descriptor above 2
// reaches a child, new files are private, no signal is ignored, and no other process
// of the caller can read this one's memory or make it dump core.
func Enter() (was Inherited, err error) {
	was.Environ = os.Environ()
	os.Clearenv()
	unix.Umask(0o077)
	if err := CloseOnExec(); err != nil {
		return was, fmt.Errorf("cannot set close-on-exec on the inherited descriptors: %w", err)
	}
	if was.Core, err = forbidCoreDumps(); err != nil {
		return was, fmt.Errorf("cannot disable core dumps: %w", err)
	}
	if err := resetSignals(); err != nil {
		return was, err
	}
	if err := os.Chdir("/"); err != nil {
		return was, fmt.Errorf("cannot leave the caller's directory: %w", err)
	}
	return was, nil
}

// forbidCoreDumps also makes root the owner of the process's files in /proc and
// prevents tracing by the caller (PR_SET_DUMPABLE in prctl(2)). It lowers only the
// soft limit, so that a job's can be restored.
func forbidCoreDumps() (was unix.Rlimit, err error) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return was, err
	}
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &was); err != nil {
		return was, err
	}
	return was, unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 0, Max: was.Max})
}

// sigAction has the size of the kernel's struct sigaction or more; on all of Go's
// 64-bit Linux architectures that begins with the handler.
type sigAction struct {
	handler uintptr
	rest    [7]uint64
}

const (
	sigIgn  = 1 // SIG_IGN
	setSize = 8 // sizeof(sigset_t) in the kernel, 64 signals
	signals = 64
)

// resetSignals restores the default action of every signal that the caller ignores:
// an ignored signal stays ignored across execve(2), and a job that ignores TERM,
// PIPE or HUP does not end as its author expects.
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
			return fmt.Errorf("cannot reset the action of signal %d: %w", n, err)
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

// MoveFile moves a file to another descriptor, which no program inherits, and replaces it
// by /dev/null. Outputs are moved because Go's runtime writes the stacks of a fatal error
// to descriptor 2, which is the job's log, and ends a program that writes to a broken pipe
// on descriptor 1 or 2.
func MoveFile(file *os.File, name string) (*os.File, error) {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("cannot keep %s: %w", name, err)
	}
	null, err := openNull()
	if err != nil {
		return nil, err
	}
	if err := unix.Dup3(null, int(file.Fd()), 0); err != nil {
		return nil, fmt.Errorf("cannot replace %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), unix.Close(null)
}

// openNull opens /dev/null. A file in its place, which root's programs create once it was
// removed, would keep what jobs discard, and give it to others as their input.
func openNull() (null int, err error) {
	null, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("cannot open %s: %w", os.DevNull, err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(null, &st); isNull(st) {
		return null, nil
	}
	return -1, errors.Join(err, unix.Close(null), fmt.Errorf("%s is not the null device", os.DevNull))
}

// isNull reports whether a file is the null device (null(4)).
func isNull(st unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
}
