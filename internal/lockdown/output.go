package lockdown

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MoveOutput moves a file to another descriptor, and replaces it by /dev/null. Go's
// runtime writes the stacks of a fatal error to descriptor 2, which is the job's log,
// and ends a program that writes to a broken pipe on descriptor 1 or 2.
func MoveOutput(file *os.File, name string) (*os.File, error) {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("cannot keep %s: %w", name, err)
	}
	null, err := unix.Open(os.DevNull, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", os.DevNull, err)
	}
	if err := unix.Dup3(null, int(file.Fd()), 0); err != nil {
		return nil, fmt.Errorf("cannot replace %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), unix.Close(null)
}
