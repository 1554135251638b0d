package safedir

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/mounts"
)

// tree removes a directory. why is the reason for which it was not unlinked.
func (r *remover) tree(parent int, name string, depth int, why error) {
	dir, err := openTree(parent, name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return
	case errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP):
		r.note(why)
		return
	case err != nil:
		r.note(err)
		return
	}
	defer unix.Close(dir)
	if depth == 0 {
		r.top = dir
	}
	if r.foreign(dir) {
		r.note(errMount)
		return
	}
	// A directory that another removal took away meanwhile cannot even be listed.
	if err := r.empty(parent, dir, name, depth); err != nil && !errors.Is(err, unix.ENOENT) {
		r.note(err)
	}
}

// empty removes what is in a directory and then itself. A listing may miss
// entries while others are removed, and some come up from below: as long as
// anything goes, it is read again.
func (r *remover) empty(parent, dir int, name string, depth int) error {
	for {
		before := r.gone
		if err := r.entries(dir, depth); err != nil || r.late {
			return err
		}
		err := r.unlink(parent, name, unix.AT_REMOVEDIR)
		if err == 0 {
			return nil
		}
		if (err != unix.ENOTEMPTY && err != unix.EEXIST) || r.gone == before {
			return err
		}
		if _, err := unix.Seek(dir, 0, unix.SEEK_SET); err != nil {
			return err
		}
	}
}

// entries removes the entries of a directory.
func (r *remover) entries(dir, depth int) error {
	if depth == len(r.buffers) {
		r.buffers = append(r.buffers, make([]byte, 32<<10))
	}
	for !r.late {
		var n int
		err := again(func() (err error) {
			n, err = unix.Getdents(dir, r.buffers[depth])
			return err
		})
		if err != nil || n == 0 {
			return err
		}
		for e := range parse(r.buffers[depth][:n]) {
			r.entry(dir, e.name, e.kind, depth+1)
		}
	}
	return nil
}

// foreign reports whether a directory is on another mount than where the removal
// began; where the system does not tell mounts, another file system.
func (r *remover) foreign(dir int) bool {
	if r.mount != 0 {
		return mounts.ID(dir) != r.mount
	}
	var st unix.Stat_t
	return fstat(dir, &st) != nil || st.Dev != r.device
}

// openTree opens a directory, if need be by giving its owner the right to.
func openTree(parent int, name string) (int, error) {
	fd, err := openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if !errors.Is(err, unix.EACCES) {
		return fd, err
	}
	closed, err := openat(parent, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return -1, err
	}
	defer unix.Close(closed)
	if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", closed), 0o700); err != nil {
		return -1, unix.EACCES
	}
	return openat(closed, ".", unix.O_RDONLY|unix.O_DIRECTORY)
}
