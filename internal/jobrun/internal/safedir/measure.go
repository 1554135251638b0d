package safedir

import (
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
)

// Size is what a directory and everything below it occupies, as du(1) counts it.
type Size struct {
	Bytes int64 // of the blocks in use
	Files int64 // entries, the directory itself included
	// Partial means that there is more: the deadline was reached, or something could not
	// be read.
	Partial bool
}

// Add adds another size.
func (s *Size) Add(o Size) {
	s.Bytes, s.Files, s.Partial = s.Bytes+o.Bytes, s.Files+o.Files, s.Partial || o.Partial
}

// Measure measures the directory until the deadline; a zero one means no limit. It
// follows no symbolic link and leaves out other mounts. A file with several names counts
// once.
func (f *Dir) Measure(until time.Time) Size {
	m := measurer{remover: f.newRemover(until), until: until, seen: map[inode]bool{}}
	m.directory(f.fd, ".", 0)
	return m.size
}

// inode identifies a file.
type inode struct{ device, number uint64 }

// measurer is the state of one measurement.
type measurer struct {
	remover // for its buffers and mounts
	until   time.Time
	size    Size
	seen    map[inode]bool // files with several names
}

// maxMeasuredDepth is how many directories may be open at the same time; what is deeper
// is not counted.
const maxMeasuredDepth = 256

func (m *measurer) directory(parent int, name string, depth int) {
	if depth > maxMeasuredDepth {
		m.size.Partial = true
		return
	}
	fd, err := eintr.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		m.missed(err)
		return
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if m.onOtherMount(fd) || eintr.Fstat(fd, &st) != nil {
		return
	}
	m.add(&st)
	if depth == len(m.buffers) {
		m.buffers = append(m.buffers, make([]byte, 32<<10))
	}
	for {
		n, err := unix.Getdents(fd, m.buffers[depth])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			m.missed(err)
			return
		}
		if n == 0 {
			return
		}
		for e := range parseDirents(m.buffers[depth][:n]) {
			if !m.until.IsZero() && !time.Now().Before(m.until) {
				m.size.Partial = true
				return
			}
			m.entry(fd, e, depth)
		}
	}
}

func (m *measurer) entry(dir int, e dirent, depth int) {
	if e.kind == typeDir {
		m.directory(dir, e.name, depth+1)
		return
	}
	var st unix.Stat_t
	if err := eintr.Fstatat(dir, e.name, &st); err != nil {
		m.missed(err)
		return
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		m.directory(dir, e.name, depth+1)
		return
	}
	m.addFile(&st)
}

// missed takes the error of an entry that was listed, or of a directory that is read. One that
// is gone since then has no size.
func (m *measurer) missed(err error) {
	if errno(err) != unix.ENOENT {
		m.size.Partial = true
	}
}

// addFile adds a file, once if it has several names.
func (m *measurer) addFile(st *unix.Stat_t) {
	if st.Nlink > 1 {
		at := inode{st.Dev, st.Ino}
		if m.seen[at] {
			return
		}
		m.seen[at] = true
	}
	m.add(st)
}

func (m *measurer) add(st *unix.Stat_t) {
	m.size.Bytes += st.Blocks * 512 // stat(2): in units of 512 bytes
	m.size.Files++
}
