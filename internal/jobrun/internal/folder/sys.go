package folder

import (
	"errors"

	"golang.org/x/sys/unix"
)

func openat(dir int, name string, flags int) (fd int, err error) {
	err = again(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0o600)
		return err
	})
	return fd, err
}

func fstat(fd int, st *unix.Stat_t) error {
	return again(func() error { return unix.Fstat(fd, st) })
}

// again repeats a call that a signal cut short: Go's runtime preempts its
// threads by signals, and a network file system lets them through.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
