package trustedfile

import (
	"errors"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// walk goes from the root directory to a file or a directory, one component at a
// time, and judges what it passes.
type walk struct {
	path   string
	rules  rules
	trust  Trust
	all    bool // go on after a fault
	faults []Fault
	// missing makes a directory that does not exist, nil for none.
	missing func(dir int, name string) error

	at      directory
	pending []string // components still to go, the last one's own name last
	linked  int      // how many of these are from the text of a link
	links   int      // how many links were followed
}

// directory is an open directory (O_PATH), its real path, and what stat(2) says.
type directory struct {
	fd   int
	path string
	st   facts
}

func (d directory) join(name string) string { return path.Join(d.path, name) }

// maxLinks is the kernel's own bound on symbolic links in one path
// (path_resolution(7)).
const maxLinks = 40

func newWalk(p job.AbsPath, t Trust, r rules, all bool) *walk {
	return &walk{path: p.String(), rules: r, trust: t, all: all, at: directory{fd: -1}, pending: components(p.String())}
}

func components(p string) []string {
	return slices.DeleteFunc(strings.Split(p, "/"), func(c string) bool { return c == "" || c == "." })
}

func (w *walk) close() {
	if w.at.fd >= 0 {
		unix.Close(w.at.fd)
		w.at.fd = -1
	}
}

// toParent opens the directory that holds the file and returns the file's name
// in it; ok is false when the walk cannot or may not go on.
func (w *walk) toParent() (last string, ok bool) {
	if len(w.pending) == 0 {
		w.fault(w.path, "is a directory, not a file", "name a file")
		return "", false
	}
	if !w.enterRoot() || !w.steps(1) {
		return "", false
	}
	return w.pending[0], true
}

// toTarget is toParent, but goes on where the last component is a symbolic link.
// The last component need not exist. It is "." for a link to a directory that the
// walk is in already.
func (w *walk) toTarget() (last string, ok bool) {
	for last, ok = w.toParent(); ok; {
		st, err := fstatat(w.at.fd, last)
		if err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
			return last, true
		}
		w.take()
		if !w.follow(last) || !w.steps(1) {
			return "", false
		}
		if len(w.pending) == 0 {
			return ".", true
		}
		last = w.pending[0]
	}
	return "", false
}

// steps goes on until that many components are left.
func (w *walk) steps(left int) bool {
	for len(w.pending) > left {
		if !w.step(w.take()) {
			return false
		}
	}
	return true
}

// take removes the next component from those to go.
func (w *walk) take() string {
	name := w.pending[0]
	w.pending = w.pending[1:]
	w.linked--
	return name
}

// step enters the directory name, or takes up the text of the link name.
func (w *walk) step(name string) bool {
	full := w.at.join(name)
	st, err := fstatat(w.at.fd, name)
	// What is missing where a link leads is not made: the link may be wrong.
	if errors.Is(err, unix.ENOENT) && w.missing != nil && w.linked < 0 {
		err = w.missing(w.at.fd, name)
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
	return w.enter(w.at.fd, name, full)
}

func (w *walk) enterRoot() bool { return w.enter(unix.AT_FDCWD, "/", "/") }

// enter opens a directory and judges the descriptor. O_PATH needs no right to
// list the directory, only the right to pass.
func (w *walk) enter(parent int, name, full string) bool {
	fd, err := openat(parent, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		w.systemFault(full, err)
		return false
	}
	above := w.at.st
	w.close()
	w.at = directory{fd: fd, path: full}
	if w.at.st, err = fstat(fd); err != nil {
		w.systemFault(full, err)
		return false
	}
	w.add(w.trust.judgeMounted(full, fd, w.at.st.Dev, above.Dev))
	w.add(w.trust.judgeDirectory(full, w.at.st))
	return w.mayGoOn()
}

// follow puts the components of a link's text in front of what is still to go.
func (w *walk) follow(name string) bool {
	full := w.at.join(name)
	if w.links++; w.links > maxLinks {
		w.systemFault(full, unix.ELOOP)
		return false
	}
	target, link, err := readlink(w.at.fd, name)
	if err != nil {
		w.systemFault(full, err)
		return false
	}
	w.add(w.trust.judgeLink(full, link, w.at.st))
	if !w.mayGoOn() {
		return false
	}
	way := components(target)
	w.linked = max(w.linked, 0) + len(way)
	w.pending = append(way, w.pending...)
	if strings.HasPrefix(target, "/") {
		return w.enterRoot()
	}
	return true
}

// file judges the last component by its name, before anything is opened:
// opening a device or a FIFO can already have an effect.
func (w *walk) file(name string) bool {
	full := w.at.join(name)
	st, err := fstatat(w.at.fd, name)
	if err != nil {
		w.systemFault(full, err)
		return false
	}
	w.add(w.trust.judgeFile(full, st, w.rules))
	return len(w.faults) == 0
}

func (w *walk) mayGoOn() bool { return w.all || len(w.faults) == 0 }

// add keeps faults in the order found; a link back to a directory already
// judged must not repeat them.
func (w *walk) add(faults []Fault) {
	for _, f := range faults {
		f.File = w.path
		if !slices.ContainsFunc(w.faults, f.same) {
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

// facts are what a judgement needs of stat(2).
type facts struct {
	Mode uint32 // st_mode, type bits included
	UID  uint32
	Size int64
	Dev  uint64
}

func openat(dir int, name string, flags int) (fd int, err error) {
	err = again(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0o600)
		return err
	})
	return fd, err
}

func fstat(fd int) (facts, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstat(fd, &st) })
	return factsOf(&st), err
}

func fstatat(dir int, name string) (facts, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return factsOf(&st), err
}

// readlink opens the link itself, so that its text and its owner are of one
// and the same link (readlinkat(2), empty pathname).
func readlink(dir int, name string) (target string, owner facts, err error) {
	fd, err := openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", facts{}, err
	}
	defer unix.Close(fd)
	if owner, err = fstat(fd); err != nil {
		return "", facts{}, err
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", facts{}, err
	}
	if n == len(buf) {
		return "", facts{}, unix.ENAMETOOLONG
	}
	return string(buf[:n]), owner, nil
}

func factsOf(st *unix.Stat_t) facts {
	return facts{Mode: st.Mode, UID: st.Uid, Size: st.Size, Dev: uint64(st.Dev)}
}

// again repeats a call that a signal cut short: Go's runtime preempts its
// threads by signals, and a network file system lets them through.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
