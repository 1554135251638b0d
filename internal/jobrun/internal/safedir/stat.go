package safedir

import (
	"time"

	"golang.org/x/sys/unix"
)

// Entry is what is known of an entry of a directory.
type Entry struct {
	Dir bool
	// Used is when its content was last changed or read, as far as the file system
	// records it (relatime in mount(8)).
	Used time.Time
}

// Stat examines an entry of f. It follows no link.
func (f *Dir) Stat(name string) (Entry, error) {
	if err := checkName(name); err != nil {
		return Entry{}, err
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstatat(f.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
		return Entry{}, err
	}
	changed, read := time.Unix(st.Mtim.Unix()), time.Unix(st.Atim.Unix())
	if read.After(changed) && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		changed = read // listing a directory is no use of it
	}
	return Entry{Dir: st.Mode&unix.S_IFMT == unix.S_IFDIR, Used: changed}, nil
}

// Touch sets the time of an entry of f to now.
func (f *Dir) Touch(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return retry(func() error { return unix.UtimesNanoAt(f.fd, name, nil, unix.AT_SYMLINK_NOFOLLOW) })
}
