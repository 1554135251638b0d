// Package diskspace explains errors of storage to the user: how much of which quota or
// file system is in use, and what to do. It queries as the job's user, and only after an
// error or before one is likely.
package diskspace

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/mounts"
)

// Explain returns the failure of an operation on the storage at path: "cannot X: why",
// and a hint with figures where they are available. An error that is classified already
// is returned unchanged.
func Explain(doing, path string, err error) *failure.Error {
	if known, ok := errors.AsType[*failure.Error](err); ok {
		return known
	}
	f := failure.Systemf("%s: %w", doing, reason(err))
	if hint := hint(path, err); hint != "" {
		return f.WithHint("%s", hint)
	}
	return f
}

// reason removes the path and the system call that package os adds; the caller's text
// contains the path already.
func reason(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// ExplainLock is Explain for a file lock. Jobs need locks, and some file systems support
// them only with a mount option.
func ExplainLock(doing, path string, err error) *failure.Error {
	f := Explain(doing, path, err)
	if isAny(err, unix.ENOLCK, unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL) {
		m := mounts.Of(path)
		return f.WithHint("%s (%s) does not support file locks (fcntl), which jobs need: tell its administrators (Lustre: mount with -o flock)", m.Point, m.Type)
	}
	return f
}

// hint returns what to do about the errors of path_resolution(7), open(2), rename(2) and
// unlink(2), "" for errors that are not a system call's.
func hint(path string, err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	switch errno {
	case unix.EDQUOT:
		return quotaHint(path) + ": remove files there, or request a larger quota"
	case unix.ENOSPC:
		return fullHint(path) + ": remove files there, or tell its administrators"
	case unix.EROFS:
		return fmt.Sprintf("%s is mounted read-only: tell its administrators", mounts.Of(path).Point)
	case unix.ESTALE:
		return "the file server replaced the directory while it was in use: retry the job, and tell the administrators if that fails too"
	case unix.ENOENT:
		return "its parent directory must exist; the site's administrators create home directories"
	case unix.EACCES, unix.EPERM:
		if dir := closedDir(path); dir != "" {
			return fmt.Sprintf("you may not enter your own directory %s: run: chmod u+rwx %s", dir, dir)
		}
		return fmt.Sprintf("check its owner and mode, and those of its parent directory: ls -la %s", path)
	case unix.ENOTDIR, unix.EISDIR, unix.ELOOP, unix.EEXIST, unix.ENOTEMPTY:
		return fmt.Sprintf("something else has this name: ls -la %s", path)
	case unix.EBUSY, unix.ETXTBSY:
		return "a process still uses it, or something is mounted there: end the process or unmount it"
	case unix.EFBIG, unix.EMFILE:
		if hint := limitHint(errno); hint != "" {
			return hint
		}
	case unix.ENFILE:
		return "this host has too many open files (fs.file-max): tell its administrators"
	}
	m := mounts.Of(path)
	return fmt.Sprintf("the file system at %s (%s) refused the operation: tell its administrators", m.Point, m.Type)
}

// closedDir is the first directory on the way to a path that belongs to this account and that
// it may not enter, as after chmod 0; "" for none.
func closedDir(path string) string {
	for at := 1; at <= len(path); at++ {
		if at < len(path) && path[at] != '/' {
			continue
		}
		var st unix.Stat_t
		dir := path[:at]
		if unix.Stat(dir, &st) != nil {
			return ""
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR && unix.Access(dir, unix.X_OK) != nil {
			if st.Uid != uint32(os.Geteuid()) {
				return ""
			}
			return dir
		}
	}
	return ""
}

// limitHint names the resource limit that caused an error, "" where there is none.
func limitHint(errno syscall.Errno) string {
	resource, what := unix.RLIMIT_FSIZE, "the size of a file, in bytes (RLIMIT_FSIZE, ulimit -f)"
	if errno == unix.EMFILE {
		resource, what = unix.RLIMIT_NOFILE, "open files (RLIMIT_NOFILE, ulimit -n)"
	}
	var limit unix.Rlimit
	if unix.Getrlimit(resource, &limit) != nil || limit.Cur == unix.RLIM_INFINITY {
		return ""
	}
	return fmt.Sprintf("your limit on %s is %d: ask the administrators to raise it", what, limit.Cur)
}

// quotaHint contains the figures of the exhausted quota. Network file systems do not
// report theirs: then there are none.
func quotaHint(path string) string { return fullQuota(quotasAt(path), mounts.Of(path).Point) }

func fullQuota(quotas []quota, point string) string {
	for _, q := range quotas {
		if text, full := q.full(); full {
			return fmt.Sprintf("%s on %s is full: %s", q.owner, point, text)
		}
	}
	return fmt.Sprintf("your quota on %s is full", point)
}

func fullHint(path string) string {
	m := mounts.Of(path)
	space, _ := spaceAt(path) // without limits after an error, which is not full
	if text, full := space.full(); full {
		return fmt.Sprintf("the file system %s is full: %s", m.Point, text)
	}
	return fmt.Sprintf("the file system %s is full", m.Point)
}

// IsStorageError reports whether the storage failed, as opposed to an invalid request.
func IsStorageError(err error) bool {
	return isAny(err, unix.EDQUOT, unix.ENOSPC, unix.EIO, unix.ESTALE, unix.ETIMEDOUT)
}

func isAny(err error, numbers ...syscall.Errno) bool {
	return slices.ContainsFunc(numbers, func(n syscall.Errno) bool { return errors.Is(err, n) })
}
