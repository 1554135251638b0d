package trustedfile

import (
	"errors"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/job"
)

// walk resolves a path from the root directory, one component at a time, and checks
// each directory and link.
type walk struct {
	path       string
	rules      fileRules
	trust      Trust
	collectAll bool // continue after a fault
	faults     []Fault
	// makeMissing creates a missing directory; nil to report it as a fault.
	makeMissing func(dir int, name string) error

	current       directory
	pending       []string // components still to resolve
	linkedLeft    int      // number of these that are from the text of a link
	linksFollowed int
}

// directory is an open directory (O_PATH), its real path and its stat(2) data.
type directory struct {
	fd   int
	path string
	st   fileStat
}

func (d directory) join(name string) string { return path.Join(d.path, name) }

// maxLinks is the kernel's limit on symbolic links in one path (path_resolution(7)).
const maxLinks = 40

func newWalk(p job.AbsPath, t Trust, r fileRules, all bool) *walk {
	return &walk{path: p.String(), rules: r, trust: t, collectAll: all, current: directory{fd: -1}, pending: components(p.String())}
}

func components(p string) []string {
	return slices.DeleteFunc(strings.Split(p, "/"), func(c string) bool { return c == "" || c == "." })
}

func (w *walk) close() {
	if w.current.fd >= 0 {
		unix.Close(w.current.fd)
		w.current.fd = -1
	}
}

// openParent opens the directory of the file and returns the file's name in it; ok
// is false if the walk must stop.
func (w *walk) openParent() (last string, ok bool) {
	if len(w.pending) == 0 {
		w.fault(w.path, "is a directory, not a file", "name a file")
		return "", false
	}
	if !w.enterRoot() || !w.stepUntil(1) {
		return "", false
	}
	return w.pending[0], true
}

// openTargetParent is openParent, but follows the last component if it is a symbolic
// link. The last component need not exist. It is "." for a link to the current
// directory of the walk.
func (w *walk) openTargetParent() (last string, ok bool) {
	for last, ok = w.openParent(); ok; {
		st, err := fstatat(w.current.fd, last)
		if err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
			return last, true
		}
		w.next()
		if !w.follow(last) || !w.stepUntil(1) {
			return "", false
		}
		if len(w.pending) == 0 {
			return ".", true
		}
		last = w.pending[0]
	}
	return "", false
}

// stepUntil continues until that many components are left.
func (w *walk) stepUntil(left int) bool {
	for len(w.pending) > left {
		if !w.step(w.next()) {
			return false
		}
	}
	return true
}

// next removes and returns the next pending component.
func (w *walk) next() string {
	name := w.pending[0]
	w.pending = w.pending[1:]
	w.linkedLeft--
	return name
}

// step enters the directory name, or follows the link name.
func (w *walk) step(name string) bool {
	full := w.current.join(name)
	st, err := fstatat(w.current.fd, name)
	// A missing directory behind a link is not created: the link may be wrong.
	if errors.Is(err, unix.ENOENT) && w.makeMissing != nil && w.linkedLeft < 0 {
		err = w.makeMissing(w.current.fd, name)
		st.Mode = unix.S_IFDIR
	}
	switch {
	case err != nil:
		w.systemFault(full, err)
		return false
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return w.follow(name)
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		w.fault(full, "is not a directory", "name the file by its real path")
		return false
	}
	return w.enter(w.current.fd, name, full)
}

func (w *walk) enterRoot() bool { return w.enter(unix.AT_FDCWD, "/", "/") }

// enter opens a directory and checks the descriptor. O_PATH requires search
// permission only, not read permission.
func (w *walk) enter(parent int, name, full string) bool {
	fd, err := eintr.Openat(parent, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		w.systemFault(full, err)
		return false
	}
	above := w.current.st
	w.close()
	w.current = directory{fd: fd, path: full}
	if w.current.st, err = fstat(fd); err != nil {
		w.systemFault(full, err)
		return false
	}
	w.add(w.trust.mountedFaults(full, fd, w.current.st.Dev, above.Dev))
	w.add(w.trust.directoryFaults(full, w.current.st))
	return w.mayContinue()
}

// follow puts the components of a link's text in front of the pending ones.
func (w *walk) follow(name string) bool {
	full := w.current.join(name)
	if w.linksFollowed++; w.linksFollowed > maxLinks {
		w.systemFault(full, unix.ELOOP)
		return false
	}
	target, link, err := readlink(w.current.fd, name)
	if err != nil {
		w.systemFault(full, err)
		return false
	}
	w.add(w.trust.linkFaults(full, link, w.current.st))
	if !w.mayContinue() {
		return false
	}
	way := components(target)
	w.linkedLeft = max(w.linkedLeft, 0) + len(way)
	w.pending = append(way, w.pending...)
	if strings.HasPrefix(target, "/") {
		return w.enterRoot()
	}
	return true
}

// checkFile checks the last component by name before it is opened: opening a device
// or a FIFO can have an effect.
func (w *walk) checkFile(name string) bool {
	st, err := fstatat(w.current.fd, name)
	return w.judgeFile(name, st, err)
}

// judgeFile judges what fstatat has returned for a file of the current directory.
func (w *walk) judgeFile(name string, st fileStat, err error) bool {
	full := w.current.join(name)
	if err != nil {
		w.systemFault(full, err)
		return false
	}
	w.add(w.trust.fileFaults(full, st, w.rules))
	return len(w.faults) == 0
}

func (w *walk) mayContinue() bool { return w.collectAll || len(w.faults) == 0 }

// add keeps faults in the order found, without repeating those of a directory that a
// link leads back to.
func (w *walk) add(faults []Fault) {
	for _, f := range faults {
		f.File = w.path
		if !slices.ContainsFunc(w.faults, f.sameAs) {
			w.faults = append(w.faults, f)
		}
	}
}

func (w *walk) fault(path, problem, fix string) {
	w.add([]Fault{{Path: path, Problem: problem, Fix: fix}})
}

func (w *walk) systemFault(path string, err error) {
	w.add([]Fault{systemFault(path, err)})
}

// fileStat is the part of stat(2) that the checks need.
type fileStat struct {
	Mode uint32 // st_mode, type bits included
	UID  uint32
	Size int64
	Dev  uint64
	Ino  uint64
}

// sameAccess reports whether owner and mode are the same, on the same device.
func (s fileStat) sameAccess(other fileStat) bool {
	return s.Dev == other.Dev && s.UID == other.UID && s.Mode == other.Mode
}

func fstat(fd int) (fileStat, error) {
	var st unix.Stat_t
	err := eintr.Fstat(fd, &st)
	return newFileStat(&st), err
}

func fstatat(dir int, name string) (fileStat, error) {
	var st unix.Stat_t
	err := eintr.Fstatat(dir, name, &st)
	return newFileStat(&st), err
}

// readlink opens the link itself, so that its text and its owner are those of the
// same link (readlinkat(2), empty pathname).
func readlink(dir int, name string) (target string, owner fileStat, err error) {
	fd, err := eintr.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", fileStat{}, err
	}
	defer unix.Close(fd)
	if owner, err = fstat(fd); err != nil {
		return "", fileStat{}, err
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", fileStat{}, err
	}
	if n == len(buf) {
		return "", fileStat{}, unix.ENAMETOOLONG
	}
	return string(buf[:n]), owner, nil
}

func newFileStat(st *unix.Stat_t) fileStat {
	return fileStat{Mode: st.Mode, UID: st.Uid, Size: st.Size, Dev: uint64(st.Dev), Ino: st.Ino}
}
