package trustedfile

import (
	"os"
	"path"
	"slices"
	"strings"

	"jacamar-ci/internal/job"

	"golang.org/x/sys/unix"
)

// walk goes from the root directory to a file, one component at a time, and
// judges what it passes.
type walk struct {
	path   string
	rules  rules
	euid   uint32
	all    bool // go on after a fault
	faults []Fault

	at      place
	pending []string // components still to go, the file's own name last
	links   int
}

// place is an open directory and its real path.
type place struct {
	fd   int
	path string
}

func (p place) join(name string) string { return path.Join(p.path, name) }

// maxLinks is the kernel's own bound on symbolic links in one path
// (path_resolution(7)).
const maxLinks = 40

func newWalk(p job.AbsPath, r rules, all bool) *walk {
	return &walk{
		path: p.String(), rules: r, euid: uint32(os.Geteuid()), all: all,
		at: place{fd: -1}, pending: components(p.String()),
	}
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
	if !w.enter(unix.AT_FDCWD, "/", "/") {
		return "", false
	}
	for len(w.pending) > 1 {
		name := w.pending[0]
		w.pending = w.pending[1:]
		if !w.step(name) {
			return "", false
		}
	}
	return w.pending[0], true
}

// step enters the directory name, or takes up the text of the link name.
func (w *walk) step(name string) bool {
	full := w.at.join(name)
	st, err := fstatat(w.at.fd, name)
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

// enter opens a directory and judges the descriptor. O_PATH needs no right to
// list the directory, only the right to pass.
func (w *walk) enter(parent int, name, full string) bool {
	fd, err := openat(parent, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		w.systemFault(full, err)
		return false
	}
	w.close()
	w.at = place{fd, full}
	st, err := fstat(fd)
	if err != nil {
		w.systemFault(full, err)
		return false
	}
	w.add(judgeDirectory(full, st, w.euid))
	return w.mayGoOn()
}

// follow puts the components of a link's text in front of what is still to go.
func (w *walk) follow(name string) bool {
	full := w.at.join(name)
	if w.links++; w.links > maxLinks {
		w.systemFault(full, unix.ELOOP)
		return false
	}
	target, owner, err := readlink(w.at.fd, name)
	if err != nil {
		w.systemFault(full, err)
		return false
	}
	w.add(judgeLink(full, owner, w.euid))
	if !w.mayGoOn() {
		return false
	}
	w.pending = append(components(target), w.pending...)
	if strings.HasPrefix(target, "/") {
		return w.enter(unix.AT_FDCWD, "/", "/")
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
	w.add(judgeFile(full, st, w.euid, w.rules))
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

func (w *walk) fault(path, problem, mend string) {
	w.add([]Fault{{Path: path, Problem: problem, Mend: mend}})
}

func (w *walk) systemFault(path string, err error) {
	w.add([]Fault{systemFault(path, err)})
}
