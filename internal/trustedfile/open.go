// Package trustedfile opens files whose contents a privileged process relies on.
//
// A file is trusted if it is a regular file that only root or the account of the
// process can change: the file and every directory and symbolic link on the path
// are owned by one of the two, and no other account may write the file or one of
// those directories. A sticky directory such as /tmp is refused like any other
// directory that others can write.
//
// Every check is made on an open descriptor, never on a name, and the last
// component of the path may not be a symbolic link. A link earlier in the path is
// resolved here, one component at a time, so that each directory that it leads
// through is checked as well (/var/run and a relocated /etc/gitlab-runner are such
// links at real sites).
//
// An access control list that lets another account write shows in the group bits
// of the mode, because those are its mask (acl(5)); it needs no separate check.
// The kernel's own files (/proc/self/fd/N, /dev/stdin) are links and are refused.
package trustedfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/job"
)

// Open opens the file at path for reading if it can be trusted and is not longer
// than limit bytes. The error is its first *Fault.
func (t Trust) Open(path job.AbsPath, limit int64) (*os.File, error) {
	return t.open(path, fileRules{limit: limit})
}

// OpenExecutable is Open for a program: the file must also have an execute bit.
// The caller runs the program by the descriptor, so the file that was checked is the
// file that runs.
func (t Trust) OpenExecutable(path job.AbsPath, limit int64) (*os.File, error) {
	return t.open(path, fileRules{limit: limit, executable: true})
}

// Read returns the contents of the file at path under the rules of Open.
func (t Trust) Read(path job.AbsPath, limit int64) ([]byte, error) {
	f, err := t.Open(path, limit)
	if err != nil {
		return nil, err
	}
	return readAll(f, limit)
}

// readAll reads a file of at most limit bytes and closes it.
func readAll(f *os.File, limit int64) ([]byte, error) {
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", quotePath(f.Name()), err)
	}
	if int64(len(b)) > limit {
		return nil, tooLong(f.Name(), limit)
	}
	return b, nil
}

// Check lists every reason not to trust the file at path: its own faults and
// those of each directory and link on the path. It does not read the file.
func (t Trust) Check(path job.AbsPath) []Fault {
	return t.checkFile(path, fileRules{limit: unlimited}, (*walk).openParent)
}

// CheckProgram is Check for a program that is run by its path, which may be a
// symbolic link to it.
func (t Trust) CheckProgram(path job.AbsPath) []Fault {
	return t.checkFile(path, fileRules{limit: unlimited}, (*walk).openTargetParent)
}

func (t Trust) checkFile(path job.AbsPath, r fileRules, way func(*walk) (string, bool)) []Fault {
	w := newWalk(path, t, r, true)
	defer w.close()
	if last, ok := way(w); ok {
		w.checkFile(last)
	}
	return w.faults
}

const unlimited = 1<<63 - 1

func (t Trust) open(path job.AbsPath, r fileRules) (*os.File, error) {
	w := newWalk(path, t, r, false)
	defer w.close()
	last, ok := w.openParent()
	if !ok {
		return nil, &w.faults[0]
	}
	return w.openForReading(last)
}

// openForReading opens a file of the current directory.
func (w *walk) openForReading(name string) (*os.File, error) {
	if !w.checkFile(name) {
		return nil, &w.faults[0]
	}
	return w.openFile(name, unix.O_RDONLY)
}

func (w *walk) openFile(name string, flags int) (*os.File, error) {
	fd, ok := w.openAs(name, flags)
	if !ok {
		return nil, &w.faults[0]
	}
	return os.NewFile(uintptr(fd), w.path), nil
}

// openAs opens the file that checkFile has checked by name, and checks the
// descriptor again: only that one is certain to be the file that is read.
func (w *walk) openAs(name string, flags int) (fd int, ok bool) {
	fd, err := eintr.Openat(w.current.fd, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		w.systemFault(w.current.join(name), err)
		return -1, false
	}
	st, err := fstat(fd)
	if err != nil {
		w.systemFault(w.current.join(name), err)
	} else {
		w.add(w.trust.fileFaults(w.current.join(name), st, w.rules))
	}
	if len(w.faults) == 0 {
		return fd, true
	}
	unix.Close(fd)
	return -1, false
}

// OpenAppend opens the file at path for reading and for appending under the rules
// of Open. It creates a missing file with mode 0600. If others could replace the
// file, they could make this process write into any file.
func (t Trust) OpenAppend(path job.AbsPath) (*os.File, error) {
	w := newWalk(path, t, fileRules{limit: unlimited}, false)
	defer w.close()
	last, ok := w.openParent()
	if !ok {
		return nil, &w.faults[0]
	}
	return w.openForWriting(last, unix.O_APPEND)
}

// openForWriting opens a file of the current directory, or creates it. It looks once: a log
// that is rotated meanwhile would be missing at a second look.
func (w *walk) openForWriting(name string, flags int) (*os.File, error) {
	if st, err := fstatat(w.current.fd, name); !errors.Is(err, unix.ENOENT) && !w.judgeFile(name, st, err) {
		return nil, &w.faults[0]
	}
	return w.openFile(name, unix.O_RDWR|unix.O_CREAT|flags)
}

// Entry is a name in a directory that was checked with its whole path.
type Entry struct {
	// Dir is the directory (O_PATH), which the caller closes.
	Dir int
	// Name is the entry's name. It is not that of a symbolic link and need not exist.
	Name string
	// Path is the entry's real path.
	Path string
	// Linked reports whether the path contained a symbolic link to it.
	Linked bool

	device uint64 // of Dir
}

// FindEntry checks the directories of path and finds its last component; if that is
// a symbolic link, the one that it leads to. It calls missing, unless nil, to create a
// missing directory; a missing directory behind a link is an error. The error is a
// *Fault.
func (t Trust) FindEntry(path job.AbsPath, missing func(dir int, name string) error) (Entry, error) {
	w := newWalk(path, t, fileRules{}, false)
	w.makeMissing = missing
	last, ok := w.openTargetParent()
	if !ok {
		w.close()
		return Entry{}, &w.faults[0]
	}
	return Entry{Dir: w.current.fd, Name: last, Path: w.current.join(last), Linked: w.linkedLeft > 0, device: w.current.st.Dev}, nil
}

// OpenDirectory opens the directory at path (O_PATH) if it and each directory on
// the path can be trusted. The error is a *Fault.
func (t Trust) OpenDirectory(path job.AbsPath) (fd int, err error) {
	w, err := t.enterDirectory(path)
	if err != nil {
		return -1, err
	}
	return w.current.fd, nil
}

func (t Trust) enterDirectory(path job.AbsPath) (*walk, error) {
	w := newWalk(path, t, fileRules{}, false)
	if !w.enterRoot() || !w.stepUntil(0) {
		w.close()
		return nil, &w.faults[0]
	}
	return w, nil
}

// CheckDirectory lists every reason not to trust the directory at path.
func (t Trust) CheckDirectory(path job.AbsPath) []Fault {
	w := newWalk(path, t, fileRules{}, true)
	defer w.close()
	if w.enterRoot() {
		w.stepUntil(0)
	}
	return w.faults
}

// CheckMount refuses an entry, opened as fd, whose file system another account has
// mounted. The error is a *Fault.
func (e Entry) CheckMount(fd int, t Trust) error {
	opened, err := fstat(fd)
	if err != nil {
		return &Fault{File: e.Path, Path: e.Path, Err: err, Problem: "cannot be read", Fix: "look at the file system"}
	}
	if faults := t.mountedFaults(e.Path, fd, opened.Dev, e.device); len(faults) > 0 {
		faults[0].File = e.Path
		return &faults[0]
	}
	return nil
}

// Close closes the directory.
func (e Entry) Close() { unix.Close(e.Dir) }

// Directory is an open directory that was checked with its whole path. Its files are
// opened without another walk: they are in the directory that was checked, whatever
// happens to the path afterwards.
type Directory struct {
	trust Trust
	path  string
	at    directory
}

// EnterDirectory opens the directory at path if it and each directory on the path can
// be trusted. The error is a *Fault.
func (t Trust) EnterDirectory(path job.AbsPath) (*Directory, error) {
	w, err := t.enterDirectory(path)
	if err != nil {
		return nil, err
	}
	return &Directory{t, path.String(), w.current}, nil
}

// Read returns the contents of a file of the directory, and its permission bits, under
// the rules of Trust.Open.
func (d *Directory) Read(name string, limit int64) (b []byte, mode fs.FileMode, err error) {
	f, err := d.walk(name, limit).openForReading(name)
	if err != nil {
		return nil, 0, err
	}
	st, err := fstat(int(f.Fd()))
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("cannot examine %s: %w", quotePath(f.Name()), err)
	}
	b, err = readAll(f, limit)
	return b, fs.FileMode(st.Mode & 0o777), err
}

// OpenAppend is Trust.OpenAppend for a file of the directory.
func (d *Directory) OpenAppend(name string) (*os.File, error) {
	return d.walk(name, unlimited).openForWriting(name, unix.O_APPEND)
}

// OpenUpdate is OpenAppend for a file that is written at any offset.
func (d *Directory) OpenUpdate(name string) (*os.File, error) {
	return d.walk(name, unlimited).openForWriting(name, 0)
}

// walk is a walk that has arrived at the directory. It must not be closed.
func (d *Directory) walk(name string, limit int64) *walk {
	return &walk{path: d.path + "/" + name, trust: d.trust, rules: fileRules{limit: limit}, current: d.at}
}

// Unchanged reports whether the path, without a link at its end, still leads to the
// directory, with the owner and the mode that were checked.
func (d *Directory) Unchanged() bool {
	var st unix.Stat_t
	err := eintr.Retry(func() error { return unix.Lstat(d.path, &st) })
	return err == nil && st.Ino == d.at.st.Ino && newFileStat(&st).sameAccess(d.at.st)
}

// Close closes the directory.
func (d *Directory) Close() { unix.Close(d.at.fd) }
