// Package lockwait waits for what another process has: a lock, or a lease on a file.
package lockwait

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
)

// Poll calls try until its error is not EAGAIN, by which another process has it, and at
// most until the deadline. It returns the last error. Between two calls it pauses, at first
// for a millisecond and then for up to the longest pause.
//
// flock(2) and fcntl(2) have no timeout. Over NFS, a call that blocks would be no better:
// the kernel polls at intervals of up to half a minute.
func Poll(deadline time.Time, longest time.Duration, try func() error) error {
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		err := eintr.Retry(try)
		left := time.Until(deadline)
		if !errors.Is(err, unix.EAGAIN) || left <= 0 {
			return err
		}
		time.Sleep(min(pause, left))
	}
}
