package safedir

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/mounts"
	"jacamar-ci/internal/noreplace"
)

// ErrDeadline means that a removal reached its deadline; another call continues it.
var ErrDeadline = errors.New("the removal reached its time limit")

// errMount is the reason for not removing a directory.
var errMount = errors.New("something is mounted there")

// Remove removes an entry of f and everything below it, until the deadline. It follows no
// symbolic link, and removes nothing on another mount. It skips what it cannot remove and
// returns the first error. It is no error if the entry does not exist.
func (f *Dir) Remove(name string, until time.Time) error {
	if err := checkName(name); err != nil {
		return err
	}
	r := f.newRemover(until)
	if r.removeEntry(f.fd, name, typeUnknown, 0); r.expired {
		return ErrDeadline
	}
	if r.first != nil {
		return diskspace.Explain("cannot remove "+f.PathOf(name), f.path.String(), r.first)
	}
	return nil
}

func (f *Dir) newRemover(until time.Time) remover {
	var st unix.Stat_t
	_ = eintr.Fstat(f.fd, &st)
	return remover{until: until, mount: mounts.ID(f.fd), device: st.Dev}
}

// remover is the state of one removal.
type remover struct {
	until         time.Time
	mount, device uint64
	top           int // the directory that is removed, while it is open
	movedUp       int // directories that were moved up into it
	removed       int // entries that were removed or moved
	failed        int // entries that could not be removed
	expired       bool
	first         error
	buffers       [][]byte // one for each level: entries are removed while it is read
}

// maxDepth is how many directories are open at the same time; deeper ones are moved up.
const maxDepth = 64

// removeEntry removes one entry of the directory dir.
func (r *remover) removeEntry(dir int, name string, kind byte, depth int) {
	if r.expired = r.expired || time.Now().After(r.until); r.expired {
		return
	}
	err := unix.EISDIR
	if kind != typeDir {
		err = r.unlink(dir, name, 0)
	}
	switch {
	case err == 0:
	case err != unix.EISDIR && err != unix.EPERM:
		r.noteError(err)
	case depth > maxDepth && r.moveUp(dir, name):
	default:
		r.removeDir(dir, name, depth, err)
	}
}

// noteError keeps the first error.
func (r *remover) noteError(err error) {
	r.failed++
	if r.first == nil {
		r.first = err
	}
}

// unlink makes the directory writable if its owner may not write to it, as in module
// caches. It is no error if the entry does not exist.
func (r *remover) unlink(dir int, name string, flags int) unix.Errno {
	err := errno(eintr.Retry(func() error { return unix.Unlinkat(dir, name, flags) }))
	if err == unix.EACCES && unix.Fchmod(dir, 0o700) == nil {
		err = errno(eintr.Retry(func() error { return unix.Unlinkat(dir, name, flags) }))
	}
	switch err {
	case 0:
		r.removed++
	case unix.ENOENT:
		return 0
	}
	return err
}

func errno(err error) (number unix.Errno) {
	errors.As(err, &number)
	return number
}

// moveUp moves a directory into the top one, where it is removed later: otherwise a path
// of 100 000 directories would need as many descriptors.
func (r *remover) moveUp(dir int, name string) bool {
	err := unix.EEXIST
	for err == unix.EEXIST {
		r.movedUp++
		err = errno(noreplace.Rename(dir, name, r.top, fmt.Sprintf("raised-%d", r.movedUp)))
	}
	if err != 0 {
		return false
	}
	r.removed++
	return true
}

// removeDir removes a directory. why is the error of unlink.
func (r *remover) removeDir(parent int, name string, depth int, why error) {
	dir, err := openDir(parent, name, nil)
	switch {
	case errors.Is(err, unix.ENOENT):
		return
	case errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP):
		r.noteError(why)
		return
	case err != nil:
		r.noteError(err)
		return
	}
	defer unix.Close(dir)
	if depth == 0 {
		r.top = dir
	}
	if r.onOtherMount(dir) {
		r.noteError(errMount)
		return
	}
	// ENOENT: another removal has removed the directory.
	if err := r.removeAll(parent, dir, name, depth); err != nil && !errors.Is(err, unix.ENOENT) {
		r.noteError(err)
	}
}

// removeAll removes the entries of a directory and then the directory. A listing may miss
// entries while others are removed, and moveUp adds some, also that of another process: as
// long as entries are removed, the directory is read again, and sometimes more where it is not
// empty although nothing failed.
func (r *remover) removeAll(parent, dir int, name string, depth int) error {
	for idle := 0; ; idle++ {
		removed, failed := r.removed, r.failed
		if err := r.removeEntries(dir, depth); err != nil {
			return err
		}
		err := r.unlink(parent, name, unix.AT_REMOVEDIR)
		switch {
		case err == 0:
			return nil
		case r.removed > removed:
			idle = 0
		case r.expired || r.failed > failed || idle == maxIdle || err != unix.ENOTEMPTY && err != unix.EEXIST:
			return err
		}
		if _, err := unix.Seek(dir, 0, unix.SEEK_SET); err != nil {
			return err
		}
	}
}

// maxIdle bounds how often a directory is read again after a look that removed nothing.
const maxIdle = 100

// removeEntries removes the entries of a directory.
func (r *remover) removeEntries(dir, depth int) error {
	if depth == len(r.buffers) {
		r.buffers = append(r.buffers, make([]byte, 32<<10))
	}
	for !r.expired {
		var n int
		err := eintr.Retry(func() (err error) {
			n, err = unix.Getdents(dir, r.buffers[depth])
			return err
		})
		if err != nil || n == 0 {
			return err
		}
		for e := range parseDirents(r.buffers[depth][:n]) {
			r.removeEntry(dir, e.name, e.kind, depth+1)
		}
	}
	return nil
}

// onOtherMount reports whether a directory is on another mount than the start of the
// removal; where mount ids are unavailable, on another file system.
func (r *remover) onOtherMount(dir int) bool {
	if r.mount != 0 {
		return mounts.ID(dir) != r.mount
	}
	var st unix.Stat_t
	return eintr.Fstat(dir, &st) != nil || st.Dev != r.device
}

// openDir opens a directory, and grants its owner the permission if necessary: it calls
// granted then, unless that is nil, with the mode that the directory had.
func openDir(parent int, name string, granted func(was uint32)) (int, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW
	fd, err := eintr.Openat(parent, name, flags)
	if !errors.Is(err, unix.EACCES) {
		return fd, err
	}
	fd, was, err := reopen(parent, name, unix.S_IFDIR, 0o700, flags)
	if err == nil && granted != nil {
		granted(was)
	}
	return fd, err
}

// dirent is an entry of a directory, with its d_type.
type dirent struct {
	name string
	kind byte
}

// Values of d_type (readdir(3)). Some file systems do not support it.
const (
	typeUnknown = 0
	typeDir     = 4
)

// parseDirents parses the output of getdents64(2): records of an inode number, an offset
// (64 bit each), their own length (16 bit), a type and a name. The type saves a stat(2)
// for each entry.
func parseDirents(buf []byte) iter.Seq[dirent] {
	const header = 19
	return func(yield func(dirent) bool) {
		for len(buf) > header {
			length := int(binary.NativeEndian.Uint16(buf[16:]))
			if length <= header || length > len(buf) {
				return
			}
			name, _, _ := bytes.Cut(buf[header:length], []byte{0})
			e := dirent{string(name), buf[18]}
			buf = buf[length:]
			if e.name == "." || e.name == ".." {
				continue
			}
			if !yield(e) {
				return
			}
		}
	}
}
