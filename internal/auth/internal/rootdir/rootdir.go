// Package rootdir makes an account's directory for jobs where only root can
// (root_dir_creation). It is the one exception to the rule that jacamar-auth
// touches nothing of a user's, and keeps to what no user can move: every
// directory above is root's alone, and all is done on descriptors.
package rootdir

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
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

func makeIn(dataDir job.AbsPath, a job.Account) error {
	parent, err := enter(dataDir)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if err := unix.Mkdirat(parent, a.Name.String(), 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	dir, err := unix.Openat(parent, a.Name.String(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return give(dir, a)
}

// enter opens a directory by way of directories that only root can write. There
// is no symbolic link on the way.
func enter(path job.AbsPath) (int, error) {
	at, err := step(unix.AT_FDCWD, "/", "/")
	for name := range strings.SplitSeq(strings.Trim(path.String(), "/"), "/") {
		if err != nil {
			return -1, err
		}
		above := at
		at, err = step(above, name, path.String())
		unix.Close(above)
	}
	return at, err
}

func step(at int, name, path string) (int, error) {
	fd, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) {
		return -1, fmt.Errorf("%q in %s is not a directory: name the real path, without symbolic links", name, path)
	}
	if err != nil {
		return -1, fmt.Errorf("%q in %s: %w", name, path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if st.Uid != 0 || st.Mode&0o022 != 0 {
		unix.Close(fd)
		return -1, fmt.Errorf("%q in %s (owner %d, mode %04o) can be written by others than root", name, path, st.Uid, st.Mode&0o7777)
	}
	return fd, nil
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
