// Package basedir makes an account's directory for jobs where only root can
// (root_dir_creation). It is the one exception to the rule that jacamar-auth
// touches nothing of a user's, and keeps to what no user can move: every
// directory above is root's alone, and all is done on descriptors.
package basedir

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// Make makes the directory with the account's name below dataDir and gives it to
// the account. One that the account has already is left as it is; one of anybody
// else's is refused, also of root's, unless it is what an interrupted Make leaves.
func Make(dataDir job.AbsPath, a job.Account) error {
	if err := makeIn(dataDir, a); err != nil {
		return failure.Configf("cannot make %s/%s (root_dir_creation): %w", dataDir, a.Name, err)
	}
	return nil
}

// Trust is whose directories may be on the way to a place where root makes
// directories: root's alone, without a symbolic link.
func Trust() trustedfile.Trust { return trustedfile.Trust{NoLinks: true} }

func makeIn(dataDir job.AbsPath, a job.Account) error {
	parent, err := Trust().OpenDirectory(dataDir)
	if err != nil {
		return explain(err)
	}
	defer unix.Close(parent)
	made := unix.Mkdirat(parent, a.Name.String(), 0o700)
	if made != nil && !errors.Is(made, unix.EEXIST) {
		return made
	}
	dir, err := unix.Openat(parent, a.Name.String(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if made == nil {
		if err := closeToOthers(dir); err != nil {
			return errors.Join(err, unix.Unlinkat(parent, a.Name.String(), unix.AT_REMOVEDIR))
		}
	}
	return give(dir, a)
}

// explain shortens what is wrong with the way to the directory.
func explain(err error) error {
	var fault *trustedfile.Fault
	switch {
	case !errors.As(err, &fault):
		return err
	case fault.Err != nil:
		return fmt.Errorf("%s: %w", fault.Path, fault.Err)
	}
	return fmt.Errorf("%s %s, so that it can be written by others than root: %s", fault.Path, fault.Problem, fault.Fix)
}

// closeToOthers repairs the mode of a new directory, to which inherited access
// control lists and some network file systems add rights.
func closeToOthers(dir int) error {
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil || st.Mode&0o077 == 0 {
		return err
	}
	_ = unix.Fchmod(dir, 0o700|st.Mode&unix.S_ISGID)
	if err := unix.Fstat(dir, &st); err != nil || st.Mode&0o077 == 0 {
		return err
	}
	return fmt.Errorf("its file system keeps no modes: a new directory has mode %04o", st.Mode&0o777)
}

// give gives a directory to the account if it is a new one: root's, closed to
// all others, and empty.
func give(dir int, a job.Account) error {
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return err
	}
	switch {
	case st.Uid == uint32(a.UID):
		return nil
	case st.Uid != 0:
		return fmt.Errorf("it is owned by uid %d, not by %d", st.Uid, a.UID)
	case st.Mode&0o7777 != 0o700 && st.Mode&0o7777 != 0o2700: // a setgid parent gives its bit
		return fmt.Errorf("it is a directory of root's own (mode %04o)", st.Mode&0o7777)
	}
	empty, err := isEmpty(dir)
	if err != nil {
		return err
	}
	if !empty {
		return errors.New("it is a directory of root's own, with something in it")
	}
	return unix.Fchown(dir, int(a.UID), int(a.GID))
}

// isEmpty reads the first names; "." and ".." are never among them.
func isEmpty(dir int) (bool, error) {
	buf := make([]byte, 4096)
	n, err := unix.ReadDirent(dir, buf)
	if err != nil {
		return false, err
	}
	_, count, _ := unix.ParseDirent(buf[:n], -1, nil)
	return count == 0, nil
}
