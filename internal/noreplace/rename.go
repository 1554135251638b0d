// Package noreplace renames a file or directory without replacing anything, also
// on file systems that do not support the flag for it.
package noreplace

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// Rename gives the entry oldName of the directory oldDir the name newName in the
// directory newDir. It fails with EEXIST when that name is taken.
//
// RENAME_NOREPLACE makes this atomic (rename(2)). NFS, 9p, many FUSE daemons, ZFS
// before 2.2 and kernels before 3.15 refuse the flag. On these the name is looked
// up first and the entry then renamed without the flag. What another process
// makes under that name in between may be replaced, if it is a file or an empty
// directory: rename(2) never replaces a directory that has entries.
func Rename(oldDir int, oldName string, newDir int, newName string) error {
	err := again(func() error {
		return unix.Renameat2(oldDir, oldName, newDir, newName, unix.RENAME_NOREPLACE)
	})
	if !refused(err) {
		return err
	}
	return again(func() error {
		var st unix.Stat_t
		switch err := unix.Fstatat(newDir, newName, &st, unix.AT_SYMLINK_NOFOLLOW); {
		case err == nil:
			return unix.EEXIST
		case !errors.Is(err, unix.ENOENT):
			return err
		}
		err := unix.Renameat(oldDir, oldName, newDir, newName)
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.ENOTDIR) {
			return unix.EEXIST // the name was taken after the lookup
		}
		return err
	})
}

// refused reports whether an error may mean that the file system, the kernel or a
// seccomp filter does not support the flag. Each of them has other meanings too:
// the rename without the flag then fails with the same error.
func refused(err error) bool {
	var number unix.Errno
	return errors.As(err, &number) && slices.Contains([]unix.Errno{unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM}, number)
}

func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
