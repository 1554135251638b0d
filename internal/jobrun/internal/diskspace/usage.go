package diskspace

import (
	"cmp"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/mounts"
)

// usage is the used amount and its limit, 0 for no limit.
type usage struct{ used, limit uint64 }

func (u usage) full() bool { return u.limit > 0 && u.used >= u.limit }

func (u usage) left() uint64 { return u.limit - min(u.used, u.limit) }

// space is the usage of a file system or a quota, in bytes and in files.
type space struct{ bytes, files usage }

// full describes what is exhausted.
func (s space) full() (text string, full bool) {
	switch {
	case s.bytes.full():
		return formatBytes(s.bytes), true
	case s.files.full():
		return formatFiles(s.files), true
	}
	return "", false
}

// nearlyFull describes what is nearly exhausted.
func (s space) nearlyFull() (text string, low bool) {
	switch {
	case s.bytes.limit > 0 && s.bytes.left() < lowBytes:
		return formatBytes(s.bytes), true
	case s.files.limit > 0 && s.files.left() < lowFiles:
		return formatFiles(s.files), true
	}
	return "", false
}

// A job needs at least this much: a shallow clone of a small project.
const (
	lowBytes = 16 << 20
	lowFiles = 100
)

func formatFiles(u usage) string {
	return fmt.Sprintf("%d of %d files and directories", u.used, u.limit)
}

// formatBytes formats both figures in the unit of the limit, as in "49.9 of 50 GiB".
func formatBytes(u usage) string {
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

// spaceAt queries the file system of path.
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

// spaceOf is the space of a file system. As in df(1), what is reserved for root does not count.
func spaceOf(st *unix.Statfs_t) space {
	unit := uint64(st.Frsize)
	if unit == 0 {
		unit = uint64(st.Bsize)
	}
	used := st.Blocks - st.Bfree
	s := space{bytes: usage{used: used * unit, limit: (used + st.Bavail) * unit}}
	if st.Files > 0 {
		s.files = usage{used: st.Files - st.Ffree, limit: st.Files}
	}
	return s
}

// Warning is one line when the file system at path, or a quota that applies there, is
// full or nearly full. It is "" otherwise, and where the figures are unavailable.
func Warning(path string) string {
	fd, err := mounts.OpenNearest(path)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	point := func() string { return mounts.OfFile(fd, path).Point }
	return cmp.Or(quotaWarning(quotasOf(fd, quotaOf), point), fileSystemWarning(fd, point))
}

// quotaWarning is the warning about the first quota that has one.
func quotaWarning(quotas []quota, point func() string) (line string) {
	for _, q := range quotas {
		line = cmp.Or(line, q.warning(func() string { return q.owner + " on " + point() }))
	}
	return line
}

func fileSystemWarning(fd int, point func() string) string {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return ""
	}
	return spaceOf(&st).warning(func() string { return "the file system " + point() })
}

// ReadOnly is where the file system at path is mounted, if it cannot be written; "" otherwise.
func ReadOnly(path string) string {
	fd, err := mounts.OpenNearest(path)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil || st.Flags&unix.ST_RDONLY == 0 {
		return ""
	}
	return mounts.OfFile(fd, path).Point
}

// IsFull reports whether the file system at path, or a quota on it, is full.
func IsFull(path string) bool {
	s, _ := spaceAt(path) // without limits after an error, which is not full
	return isFull(s, quotasAt(path))
}

func isFull(s space, quotas []quota) bool {
	for _, q := range append(quotas, quota{space: s}) {
		if _, full := q.full(); full {
			return true
		}
	}
	return false
}

// LessLeft returns which of two paths has less space left, the first one where that is
// unknown: for a program that had no space in one of them and has removed what it wrote.
func LessLeft(first, second string) string {
	a, err := spaceAt(first)
	if err != nil {
		return first
	}
	if b, err := spaceAt(second); err == nil && b.isLessThan(a) {
		return second
	}
	return first
}

// isLessThan compares what is left. File systems without a size have no limit.
func (s space) isLessThan(other space) bool {
	if s.bytes.limit == 0 || other.bytes.limit == 0 {
		return s.bytes.limit > 0
	}
	return s.bytes.left() < other.bytes.left()
}

// warning is a line about what has too little space, "" where there is enough.
func (s space) warning(what func() string) string {
	if text, full := s.full(); full {
		return fmt.Sprintf("%s is full: %s", what(), text)
	}
	if text, low := s.nearlyFull(); low {
		return fmt.Sprintf("%s is nearly full: %s in use", what(), text)
	}
	return ""
}
