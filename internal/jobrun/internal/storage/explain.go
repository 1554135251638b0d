package storage

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
)

// Explain is the failure of doing something with the storage at path: "cannot
// X: why", and a hint with figures where the system tells them. An error that is
// classified already stays as it is.
func Explain(doing, path string, err error) *failure.Error {
	var known *failure.Error
	if errors.As(err, &known) {
		return known
	}
	f := failure.Systemf("%s: %w", doing, reason(err))
	if hint := hint(path, err); hint != "" {
		return f.WithHint("%s", hint)
	}
	return f
}

// reason strips the path and the system call that os adds; the caller's words
// name the path already.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// hint is what to do, by the errors of path_resolution(7), open(2) and fcntl(2).
func hint(path string, err error) string {
	var errno syscall.Errno
	errors.As(err, &errno)
	switch errno {
	case unix.EDQUOT:
		return quotaWords(path) + ": remove files there, or ask for more"
	case unix.ENOSPC:
		return fullWords(path) + ": remove files there, or tell its administrators"
	case unix.EROFS:
		return fmt.Sprintf("%s is mounted for reading only: tell its administrators", mountOf(path).point)
	case unix.ESTALE:
		return "the file server replaced the directory while it was in use: retry the job, and tell the administrators if that fails too"
	case unix.EIO:
		return fmt.Sprintf("the storage at %s fails: tell its administrators", mountOf(path).point)
	case unix.ENOLCK, unix.ENOSYS, unix.EOPNOTSUPP:
		return fmt.Sprintf("%s gives no file locks (fcntl), which jobs need: tell its administrators (Lustre: mount with -o flock)", mountOf(path).point)
	case unix.ENOENT:
		return "the directory above it must exist; a home directory is made by the site's administrators"
	}
	return ""
}

// quotaWords tells the figures of the quota that is used up. Network file
// systems keep theirs to themselves: then there are none.
func quotaWords(path string) string {
	m := mountOf(path)
	for _, q := range quotasAt(m, path) {
		if words, full := q.full(); full {
			return fmt.Sprintf("%s on %s is full: %s", q.whose, m.point, words)
		}
	}
	return fmt.Sprintf("your quota on %s is full", m.point)
}

func fullWords(path string) string {
	m := mountOf(path)
	space, err := spaceAt(path)
	if words, full := space.full(); err == nil && full {
		return fmt.Sprintf("the file system %s is full: %s", m.point, words)
	}
	return fmt.Sprintf("the file system %s is full", m.point)
}

// Broken tells whether err is the storage's own fault, and not that of who asked
// for something impossible.
func Broken(err error) bool {
	for _, errno := range []error{unix.EDQUOT, unix.ENOSPC, unix.EIO, unix.ESTALE, unix.ETIMEDOUT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
