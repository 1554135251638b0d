package trustedfile

import (
	"jacamar-ci/internal/job"

	"golang.org/x/sys/unix"
)

// Entry is a name in a directory that was judged together with the whole way to it.
type Entry struct {
	// Dir is the directory (O_PATH), which the caller closes.
	Dir int
	// Name is the entry's name. It was not that of a symbolic link, and need not
	// exist.
	Name string
	// Path is the entry's real path.
	Path string
	// Linked reports that a symbolic link led to it.
	Linked bool

	device uint64 // of Dir
}

// Find judges the way to path and finds its last component, where that is a
// symbolic link the one that it leads to. It makes a missing directory on the way by
// missing, unless that is nil; what is missing where a link leads is an error. The
// error is a *Fault.
func (t Trust) Find(path job.AbsPath, missing func(dir int, name string) error) (Entry, error) {
	w := newWalk(path, t, rules{}, false)
	w.missing = missing
	last, ok := w.toTarget()
	if !ok {
		w.close()
		return Entry{}, &w.faults[0]
	}
	return Entry{Dir: w.at.fd, Name: last, Path: w.at.join(last), Linked: w.linked > 0, device: w.at.st.Dev}, nil
}

// OpenDirectory opens the directory at path (O_PATH) when it and each directory on
// the way can be trusted. The error is a *Fault.
func (t Trust) OpenDirectory(path job.AbsPath) (fd int, err error) {
	w := newWalk(path, t, rules{}, false)
	if !w.enterRoot() || !w.steps(0) {
		w.close()
		return -1, &w.faults[0]
	}
	return w.at.fd, nil
}

// JudgeDirectory lists every reason not to trust the directory at path.
func (t Trust) JudgeDirectory(path job.AbsPath) []Fault {
	w := newWalk(path, t, rules{}, true)
	defer w.close()
	if w.enterRoot() {
		w.steps(0)
	}
	return w.faults
}

// JudgeMount refuses an entry that has been opened as fd when another account mounted
// its file system. The error is a *Fault.
func (e Entry) JudgeMount(fd int, t Trust) error {
	opened, err := fstat(fd)
	if err != nil {
		return &Fault{File: e.Path, Path: e.Path, Err: err, Problem: "cannot be read", Fix: "look at the file system"}
	}
	if faults := t.judgeMounted(e.Path, fd, opened.Dev, e.device); len(faults) > 0 {
		faults[0].File = e.Path
		return &faults[0]
	}
	return nil
}

// Close closes the directory.
func (e Entry) Close() { unix.Close(e.Dir) }
