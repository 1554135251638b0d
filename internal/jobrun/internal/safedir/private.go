package safedir

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/jobrun/internal/diskspace"
)

// Private makes a directory below f that only its owner can enter, whatever the rules
// allow a group. Those that are missing on the way get f's own mode; those that are
// there stay as they are. One that is there and wider gets its mode. What stands in
// its place is removed, if it is not a directory.
func (f *Folder) Private(elem ...string) error {
	st, err := f.stat()
	if err != nil {
		return err
	}
	last := len(elem) - 1
	parent, err := f.descend(elem[:last], func(at *Folder, name string) (*Folder, error) {
		return at.makeWith(name, st.Mode&0o777)
	})
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := proper(elem[last]); err != nil {
		return err
	}
	return parent.private(elem[last])
}

func (f *Folder) private(name string) error {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstatat(f.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		if err := f.Remove(name, time.Now().Add(time.Second)); err != nil {
			return err
		}
	}
	dir, err := f.makeWith(name, 0o700)
	if err != nil {
		return err
	}
	defer dir.Close()
	dir.rules.Group = false
	if st, err = dir.stat(); err != nil {
		return err
	}
	if dir.rules.wide(&st) {
		_ = unix.Fchmod(dir.fd, 0o700) // the mode that it then has decides
		if st, err = dir.stat(); err != nil {
			return err
		}
	}
	return dir.rules.judge(dir.path.String(), &st)
}

// makeWith opens a directory, and makes it with this very mode where it is missing,
// whatever the umask is.
func (f *Folder) makeWith(name string, mode uint32) (*Folder, error) {
	merr := again(func() error { return unix.Mkdirat(f.fd, name, 0o700) })
	if merr != nil && !errors.Is(merr, unix.EEXIST) {
		return nil, diskspace.Explain("cannot make "+f.shown(name), f.path.String(), merr)
	}
	dir, err := f.enter(name)
	if err == nil && merr == nil && mode != 0o700 {
		err = unix.Fchmod(dir.fd, mode)
	}
	return dir, err
}
