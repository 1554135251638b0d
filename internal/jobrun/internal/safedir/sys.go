package safedir

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

func openat(dir int, name string, flags int) (fd int, err error) {
	err = again(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0o600)
		return err
	})
	return fd, err
}

// leaseTime is longer than the kernel lets another process keep a lease on a file
// that is wanted (lease-break-time of proc_sys_fs(5), 45 s).
const leaseTime = 50 * time.Second

// openFile opens a file without waiting for the other end of a FIFO. Another
// process's lease is waited for, such as one of Samba, or of this host's own NFS
// server on behalf of a client: it makes an open that may not wait fail (EWOULDBLOCK
// in open(2)).
func openFile(dir int, name string, flags int) (fd int, err error) {
	for deadline := time.Now().Add(leaseTime); ; time.Sleep(20 * time.Millisecond) {
		fd, err = openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			return fd, err
		}
	}
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
