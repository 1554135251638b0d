// Package noreplace renames a file or directory without replacing anything, also
// on file systems that do not support the flag for it.
package noreplace

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
)

// Rename gives the entry oldName of the directory oldDir the name newName in the
// directory newDir. It fails with EEXIST when that name is taken.
//
// RENAME_NOREPLACE makes this atomic (rename(2)). NFS, 9p, many FUSE daemons and ZFS
// before 2.2 do not support the flag. On these the name is looked up first and the entry
// then renamed without the flag. If another process creates a file or an empty directory
// of that name in between, it may be replaced: rename(2) never replaces a directory that
// has entries.
func Rename(oldDir int, oldName string, newDir int, newName string) error {
	err := eintr.Retry(func() error {
		return unix.Renameat2(oldDir, oldName, newDir, newName, unix.RENAME_NOREPLACE)
	})
	if !unsupported(err) {
		return err
	}
	return eintr.Retry(func() error { return withoutFlag(oldDir, oldName, newDir, newName) })
}

// withoutFlag looks the new name up before it renames.
func withoutFlag(oldDir int, oldName string, newDir int, newName string) error {
	var st unix.Stat_t
	switch err := eintr.Fstatat(newDir, newName, &st); {
	case err == nil:
		return unix.EEXIST
	case !errors.Is(err, unix.ENOENT):
		return err
	}
	err := unix.Renameat(oldDir, oldName, newDir, newName)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.ENOTDIR) {
		return unix.EEXIST // an entry was created after the lookup
	}
	return err
}

// unsupported reports whether an error may mean that the file system or a seccomp filter
// does not support the flag. If it has another meaning, the rename without the flag fails
// with the same error.
func unsupported(err error) bool {
	number, ok := errors.AsType[unix.Errno](err)
	return ok && slices.Contains([]unix.Errno{unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM}, number)
}
