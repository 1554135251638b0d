package safedir

import (
	"fmt"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/job"
)

// restore gives a directory back the rights of the rules, where a script has changed its mode:
// it takes away those of others, and gives the owner's. st is what was found, and then what
// the directory has. One that others may write stays as it is: they may have put something
// there, and only a person can judge that.
func (f *Dir) restore(st *unix.Stat_t) error {
	if st.Uid != uint32(f.rules.Owner) || f.rules.mayChange(st) || !f.rules.tooOpen(st) && st.Mode&0o700 == 0o700 {
		return nil
	}
	was := st.Mode & 0o777
	_ = unix.Fchmod(f.fd, st.Mode&0o7000|st.Mode&f.rules.mode()|0o700) // the resulting mode is checked
	now, err := f.stat()
	if err != nil {
		return err
	}
	*st = now
	if now.Mode&0o777 != was {
		f.rules.noteRestored(f.path.String(), was)
	}
	return nil
}

// mayChange reports whether others may change the directory's content.
func (r Rules) mayChange(st *unix.Stat_t) bool {
	if r.closed {
		return r.tooOpen(st)
	}
	return st.Mode&0o022&^r.mode() != 0
}

func (r Rules) noteRestored(path string, was uint32) {
	if r.Restored != nil {
		r.Restored(path, was)
	}
}

// restoredAt is noteRestored for what is at a path.
func (r Rules) restoredAt(path job.AbsPath) func(was uint32) {
	return func(was uint32) { r.noteRestored(path.String(), was) }
}

// reopen opens an entry of a directory that this account may not open, if it belongs to this
// account and is of that type (S_IFMT): its owner gets the rights of mode first.
func reopen(dir int, name string, kind, mode uint32, flags int) (fd int, was uint32, err error) {
	closed, err := eintr.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return -1, 0, err
	}
	defer unix.Close(closed)
	var st unix.Stat_t
	if err := eintr.Fstat(closed, &st); err != nil {
		return -1, 0, err
	}
	if st.Mode&unix.S_IFMT != kind || st.Mode&mode == mode {
		return -1, 0, unix.EACCES
	}
	self := fmt.Sprintf("/proc/self/fd/%d", closed)
	if unix.Chmod(self, st.Mode&0o7777|mode) != nil {
		return -1, 0, unix.EACCES
	}
	// The link of proc_pid_fd(5) leads to the entry itself, whatever its name leads to now.
	fd, err = eintr.Openat(unix.AT_FDCWD, self, flags&^(unix.O_NOFOLLOW|unix.O_CREAT))
	return fd, st.Mode & 0o777, err
}
