// Package basedir creates an account's directory for jobs where only root can
// (root_dir_creation). It is the only exception to the rule that jacamar-auth does
// not access a user's files. No user can interfere: root owns every parent directory,
// and all operations use descriptors.
package basedir

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// Make creates the directory with the account's name in dataDir and gives it to the
// account. It leaves a directory that the account owns unchanged and refuses one of
// another account. It also refuses one of root, unless an interrupted Make left it.
func Make(dataDir job.AbsPath, a job.Account) error {
	if err := makeDirectory(dataDir, a); err != nil {
		return failure.Configf("cannot create %s/%s (root_dir_creation): %w", dataDir, a.Name, err)
	}
	return nil
}

// Trust applies to the directories above those that root creates: root must own them,
// and there may be no symbolic link.
func Trust() trustedfile.Trust { return trustedfile.Trust{NoLinks: true} }

func makeDirectory(dataDir job.AbsPath, a job.Account) error {
	parent, err := Trust().OpenDirectory(dataDir)
	if err != nil {
		return shorten(err)
	}
	defer unix.Close(parent)
	made := eintr.Retry(func() error { return unix.Mkdirat(parent, a.Name.String(), 0o700) })
	if made != nil && !errors.Is(made, unix.EEXIST) {
		return made
	}
	dir, err := eintr.Openat(parent, a.Name.String(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if made == nil {
		if err := clearOtherBits(dir); err != nil {
			return errors.Join(err, unix.Unlinkat(parent, a.Name.String(), unix.AT_REMOVEDIR))
		}
	}
	err = handOver(dir, a)
	for end := time.Now().Add(newDirTime); errors.As(err, new(rootsError)) && time.Now().Before(end); time.Sleep(newDirPause) {
		err = handOver(dir, a)
	}
	return err
}

const (
	// newDirTime is how long another process may need between making a directory and handing
	// it over.
	newDirTime  = 300 * time.Millisecond
	newDirPause = 10 * time.Millisecond
)

// rootsError is why a directory of root's is not handed over. Another process may just have
// made it, and the account may use it by the time that this one looks at its content.
type rootsError string

func (e rootsError) Error() string { return "it is owned by root and " + string(e) }

// shorten returns a shorter text for a fault in the path of the directory.
func shorten(err error) error {
	var fault *trustedfile.Fault
	switch {
	case !errors.As(err, &fault):
		return err
	case fault.Err != nil:
		return fmt.Errorf("%s: %w", fault.Path, fault.Err)
	}
	return fmt.Errorf("%s %s, so that accounts other than root can write it: %s", fault.Path, fault.Problem, fault.Fix)
}

// clearOtherBits removes permissions of others from a new directory, which inherited
// access control lists and some network file systems add.
func clearOtherBits(dir int) error {
	var st unix.Stat_t
	if err := eintr.Fstat(dir, &st); err != nil {
		return err
	}
	if st.Mode&0o077 == 0 {
		return nil
	}
	_ = unix.Fchmod(dir, 0o700|st.Mode&unix.S_ISGID)
	if err := eintr.Fstat(dir, &st); err != nil {
		return err
	}
	if st.Mode&0o077 == 0 {
		return nil
	}
	return fmt.Errorf("its file system does not store modes: a new directory has mode %04o", st.Mode&0o777)
}

// handOver gives a directory to the account if it is new: owned by root, private, and
// empty.
func handOver(dir int, a job.Account) error {
	var st unix.Stat_t
	if err := eintr.Fstat(dir, &st); err != nil {
		return err
	}
	switch {
	case st.Uid == uint32(a.UID):
		return nil
	case st.Uid != 0:
		return fmt.Errorf("it is owned by uid %d, not by %d", st.Uid, a.UID)
	case st.Mode&0o7777 != 0o700 && st.Mode&0o7777 != 0o2700: // a setgid parent gives its bit
		return rootsError(fmt.Sprintf("not new (mode %04o)", st.Mode&0o7777))
	}
	empty, err := isEmpty(dir)
	if err != nil {
		return err
	}
	if !empty {
		return rootsError("not empty")
	}
	return unix.Fchown(dir, int(a.UID), int(a.GID))
}

// isEmpty reports whether a directory has no entries; ParseDirent omits "." and "..". A
// signal to this process ends a read before the last entry, those of Go's scheduler too.
func isEmpty(dir int) (bool, error) {
	if _, err := unix.Seek(dir, 0, unix.SEEK_SET); err != nil { // it may have been read before
		return false, err
	}
	buf := make([]byte, 4096)
	for {
		var n int
		err := eintr.Retry(func() (err error) {
			n, err = unix.ReadDirent(dir, buf)
			return err
		})
		if err != nil || n <= 0 {
			return err == nil, err
		}
		if _, count, _ := unix.ParseDirent(buf[:n], -1, nil); count > 0 {
			return false, nil
		}
	}
}
