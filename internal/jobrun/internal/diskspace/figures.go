package diskspace

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/mounts"
)

// use is how much of something is in use; a limit of 0 is none.
type use struct{ used, limit uint64 }

func (u use) full() bool { return u.limit > 0 && u.used >= u.limit }

func (u use) left() uint64 { return u.limit - min(u.used, u.limit) }

// space is what a file system or a quota has, in bytes and in files.
type space struct{ bytes, files use }

// full tells in words what is used up.
func (s space) full() (words string, full bool) {
	switch {
	case s.bytes.full():
		return bytesOf(s.bytes), true
	case s.files.full():
		return filesOf(s.files), true
	}
	return "", false
}

// tight tells in words what will soon be used up.
func (s space) tight() (words string, tight bool) {
	switch {
	case s.bytes.limit > 0 && s.bytes.left() < tightBytes:
		return bytesOf(s.bytes), true
	case s.files.limit > 0 && s.files.left() < tightFiles:
		return filesOf(s.files), true
	}
	return "", false
}

// Less than this is left of nothing that a job could work with: a shallow clone
// of a small project.
const (
	tightBytes = 16 << 20
	tightFiles = 100
)

func filesOf(u use) string { return fmt.Sprintf("%d of %d files and directories", u.used, u.limit) }

// bytesOf writes both figures in the unit that suits the limit, as in "49.9 of
// 50 GiB".
func bytesOf(u use) string {
	unit, size := "bytes", float64(1)
	for _, name := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if float64(u.limit) < size*1024 {
			break
		}
		unit, size = name, size*1024
	}
	if size == 1 {
		return fmt.Sprintf("%d of %d bytes", u.used, u.limit)
	}
	limit := strconv.FormatFloat(float64(int64(float64(u.limit)/size*10+0.5))/10, 'f', -1, 64)
	return fmt.Sprintf("%.1f of %s %s", float64(u.used)/size, limit, unit)
}

// spaceAt asks the file system of path, in the terms of df(1): what only root
// can use is not there.
func spaceAt(path string) (space, error) {
	fd, err := mounts.OpenNearest(path)
	if err != nil {
		return space{}, err
	}
	defer unix.Close(fd)
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return space{}, err
	}
	return spaceOf(&st), nil
}

func spaceOf(st *unix.Statfs_t) space {
	unit := uint64(st.Frsize)
	if unit == 0 {
		unit = uint64(st.Bsize)
	}
	used := st.Blocks - st.Bfree
	s := space{bytes: use{used: used * unit, limit: (used + st.Bavail) * unit}}
	if st.Files > 0 {
		s.files = use{used: st.Files - st.Ffree, limit: st.Files}
	}
	return s
}
