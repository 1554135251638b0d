// Package eintr repeats system calls that a signal interrupted (EINTR in signal(7)): file
// systems of the network and of FUSE daemons end them so.
package eintr

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Retry repeats a call until its error is not EINTR, and returns that error: Go's runtime
// preempts its threads by signals, and network file systems do not block them.
func Retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Openat is openat(2). Programs that are started do not have the file, and one that it
// creates is its owner's alone.
func Openat(dir int, name string, flags int) (fd int, err error) {
	err = Retry(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0o600)
		return err
	})
	return fd, err
}

// Fstat is fstat(2).
func Fstat(fd int, st *unix.Stat_t) error {
	return Retry(func() error { return unix.Fstat(fd, st) })
}

// Fstatat examines an entry of the directory dir. It follows no link.
func Fstatat(dir int, name string, st *unix.Stat_t) error {
	return Retry(func() error { return unix.Fstatat(dir, name, st, unix.AT_SYMLINK_NOFOLLOW) })
}
