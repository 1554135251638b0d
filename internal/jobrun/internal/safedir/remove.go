package safedir

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/mounts"
	"jacamar-ci/internal/noreplace"
)

// ErrLate means that a removal ran out of time; what it left can be removed by
// calling again.
var ErrLate = errors.New("the time for the removal is over")

// errMount is the reason for leaving a directory.
var errMount = errors.New("something is mounted there")

// Remove removes an entry of f with all that is below it, until the time is
// over. No symbolic link is followed, and nothing on another mount is touched.
// What cannot be removed is left and the first reason returned; the rest goes
// all the same. Something that is not there is no error.
func (f *Folder) Remove(name string, until time.Time) error {
	if err := proper(name); err != nil {
		return err
	}
	r := remover{until: until, mount: mounts.ID(f.fd), device: f.device()}
	if r.entry(f.fd, name, unknown, 0); r.late {
		return ErrLate
	}
	if r.first != nil {
		return diskspace.Explain("cannot remove "+f.shown(name), f.path.String(), r.first)
	}
	return nil
}

func (f *Folder) device() uint64 {
	var st unix.Stat_t
	_ = fstat(f.fd, &st)
	return st.Dev
}

// remover is one removal at work.
type remover struct {
	until         time.Time
	mount, device uint64
	top           int // the directory that is removed, while it is open
	raised        int // directories that were moved up into it
	gone          int // entries that are no longer where they were
	late          bool
	first         error
	buffers       [][]byte // one a level, since a level is read while its entries go
}

// maxDepth is how many directories are open at once; a deeper one is moved up.
const maxDepth = 64

// entry removes one entry of the directory dir.
func (r *remover) entry(dir int, name string, kind byte, depth int) {
	if r.late = r.late || time.Now().After(r.until); r.late {
		return
	}
	err := unix.EISDIR
	if kind != directory {
		err = r.unlink(dir, name, 0)
	}
	switch {
	case err == 0:
	case err != unix.EISDIR && err != unix.EPERM:
		r.note(err)
	case depth > maxDepth && r.raise(dir, name):
	default:
		r.tree(dir, name, depth, err)
	}
}

// note keeps the first reason for leaving something.
func (r *remover) note(err error) {
	if r.first == nil {
		r.first = err
	}
}

// unlink opens up a directory of the user's that is closed even to himself, as
// module caches are, when that is in the way. What is gone already is no error.
func (r *remover) unlink(dir int, name string, flags int) unix.Errno {
	err := errno(again(func() error { return unix.Unlinkat(dir, name, flags) }))
	if err == unix.EACCES && unix.Fchmod(dir, 0o700) == nil {
		err = errno(again(func() error { return unix.Unlinkat(dir, name, flags) }))
	}
	switch err {
	case 0:
		r.gone++
	case unix.ENOENT:
		return 0
	}
	return err
}

func errno(err error) (number unix.Errno) {
	errors.As(err, &number)
	return number
}

// raise moves a directory up into the top one, where it will be found again: a
// path of 100 000 directories would need as many descriptors otherwise.
func (r *remover) raise(dir int, name string) bool {
	err := unix.EEXIST
	for err == unix.EEXIST {
		r.raised++
		err = errno(noreplace.Rename(dir, name, r.top, fmt.Sprintf("raised-%d", r.raised)))
	}
	if err != 0 {
		return false
	}
	r.gone++
	return true
}
