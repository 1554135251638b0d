package diskspace

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/mounts"
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

// ExplainLock is Explain for a file lock. Locks are the one thing that a file
// system must have for jobs and that some have only when an administrator says so.
func ExplainLock(doing, path string, err error) *failure.Error {
	f := Explain(doing, path, err)
	for _, unsupported := range []error{unix.ENOLCK, unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL} {
		if errors.Is(err, unsupported) {
			m := mounts.Of(path)
			return f.WithHint("%s (%s) gives no file locks (fcntl), which jobs need: tell its administrators (Lustre: mount with -o flock)", m.Point, m.Type)
		}
	}
	return f
}

// hint is what to do, by the errors of path_resolution(7), open(2), rename(2) and
// unlink(2). Only a system's error has one.
func hint(path string, err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	switch errno {
	case unix.EDQUOT:
		return quotaWords(path) + ": remove files there, or ask for more"
	case unix.ENOSPC:
		return fullWords(path) + ": remove files there, or tell its administrators"
	case unix.EROFS:
		return fmt.Sprintf("%s is mounted for reading only: tell its administrators", mounts.Of(path).Point)
	case unix.ESTALE:
		return "the file server replaced the directory while it was in use: retry the job, and tell the administrators if that fails too"
	case unix.ENOENT:
		return "the directory above it must exist; a home directory is made by the site's administrators"
	case unix.EACCES, unix.EPERM:
		return fmt.Sprintf("look at its owner and mode, and at those of the directory above it: ls -la %s", path)
	case unix.ENOTDIR, unix.EISDIR, unix.ELOOP, unix.EEXIST, unix.ENOTEMPTY:
		return fmt.Sprintf("something else is in its place: ls -la %s", path)
	case unix.EBUSY, unix.ETXTBSY:
		return "a process still uses it, or something is mounted there: end the process or unmount it"
	}
	m := mounts.Of(path)
	return fmt.Sprintf("the file system at %s (%s) refuses it: tell its administrators", m.Point, m.Type)
}

// quotaWords tells the figures of the quota that is used up. Network file
// systems keep theirs to themselves: then there are none.
func quotaWords(path string) string {
	m := mounts.Of(path)
	for _, q := range quotasAt(m, path) {
		if words, full := q.full(); full {
			return fmt.Sprintf("%s on %s is full: %s", q.whose, m.Point, words)
		}
	}
	return fmt.Sprintf("your quota on %s is full", m.Point)
}

func fullWords(path string) string {
	m := mounts.Of(path)
	space, err := spaceAt(path)
	if words, full := space.full(); err == nil && full {
		return fmt.Sprintf("the file system %s is full: %s", m.Point, words)
	}
	return fmt.Sprintf("the file system %s is full", m.Point)
}

// Broken reports whether err is the storage's own fault, and not that of who asked
// for something impossible.
func Broken(err error) bool {
	for _, errno := range []error{unix.EDQUOT, unix.ENOSPC, unix.EIO, unix.ESTALE, unix.ETIMEDOUT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
