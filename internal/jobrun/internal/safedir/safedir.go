// Package safedir accesses directories of the job's user by descriptors. It looks up a
// name in a directory that was checked, never by a path from the root, so that a process
// that replaces a directory by a symbolic link cannot redirect a write or a removal.
package safedir

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/mounts"
)

// Dir is an open directory that was checked. Its copies share a position for Names, so
// that only one goroutine may list it at a time.
type Dir struct {
	fd    int
	path  job.AbsPath
	rules Rules
}

// Path is the path of the directory, for messages and for programs that need a path;
// this package never looks it up again.
func (f *Dir) Path() job.AbsPath { return f.path }

// PathOf is the path of an entry, for messages.
func (f *Dir) PathOf(name string) string { return f.path.String() + "/" + name }

// orClose closes f when there is an error.
func (f *Dir) orClose(err error) (*Dir, error) {
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close closes the descriptor.
func (f *Dir) Close() { unix.Close(f.fd) }

// ErrNotDirectory is the reason for rejecting a link or a file where a directory is
// expected.
var ErrNotDirectory = errors.New("it is not a directory")

// Make opens a directory below f, and creates the missing ones of elem. Each of them is
// checked. The caller closes the result.
func (f *Dir) Make(elem ...string) (*Dir, error) { return f.walk(elem, (*Dir).makeChild) }

// MakeClosed is Make for a directory in which scripts have made files of any mode: others who
// could enter it may have changed them, so that it is unfit.
func (f *Dir) MakeClosed(name string) (*Dir, error) {
	strict := *f
	strict.rules.closed = true
	below, err := strict.Make(name)
	if err == nil {
		below.rules = f.rules
	}
	return below, err
}

func (f *Dir) makeChild(name string) (*Dir, error) {
	// In every job but the first one of an account most of them exist.
	if below, err := f.openChecked(name); !errors.Is(err, unix.ENOENT) {
		return below, err
	}
	err := eintr.Retry(func() error { return unix.Mkdirat(f.fd, name, f.rules.mode()) })
	switch {
	case errors.Is(err, unix.EEXIST):
		return f.openChecked(name)
	case err != nil:
		return nil, diskspace.Explain("cannot create "+f.PathOf(name), f.path.String(), err)
	}
	below, err := f.openChild(name)
	if err != nil {
		return nil, err
	}
	return below.orClose(below.checkNew(f.fd, name))
}

// Open opens a directory below f. Each of elem is checked. The error is unix.ENOENT when
// there is none.
func (f *Dir) Open(elem ...string) (*Dir, error) {
	if below, ok := f.openBelow(elem); ok {
		return below, nil
	}
	return f.walk(elem, (*Dir).openChecked)
}

func (f *Dir) openChecked(name string) (*Dir, error) {
	below, err := f.openChild(name)
	if err != nil {
		return nil, err
	}
	return below.orClose(below.checkExisting())
}

// OpenUnchecked is Open without checks of owner and mode, for directories that the job's
// scripts created.
func (f *Dir) OpenUnchecked(elem ...string) (*Dir, error) {
	if below, ok := f.openAtOnce(elem); ok {
		return below, nil
	}
	return f.walk(elem, (*Dir).openChild)
}

// walk takes a step for each of elem. Without one it opens f again.
func (f *Dir) walk(elem []string, step func(*Dir, string) (*Dir, error)) (*Dir, error) {
	if len(elem) == 0 {
		return f.duplicate()
	}
	at := f
	for _, name := range elem {
		err := checkName(name)
		var below *Dir
		if err == nil {
			below, err = step(at, name)
		}
		if at != f {
			at.Close()
		}
		if err != nil {
			return nil, err
		}
		at = below
	}
	return at, nil
}

func (f *Dir) duplicate() (*Dir, error) {
	fd, err := unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("cannot keep %s open: %w", f.path, err)
	}
	return &Dir{fd, f.path, f.rules}, nil
}

// openChild opens one directory. It follows no link.
func (f *Dir) openChild(name string) (*Dir, error) {
	path, err := f.path.Join(name)
	if err != nil {
		return nil, err
	}
	fd, err := openDir(f.fd, name, f.rules.restoredAt(path))
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, err
	case errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP):
		return nil, failure.Systemf("cannot use %s: %w", path, ErrNotDirectory).
			WithHint("remove it; only the base directory may be a symbolic link")
	case err != nil:
		return nil, diskspace.Explain(fmt.Sprintf("cannot open %s", path), f.path.String(), err)
	}
	return &Dir{fd, path, f.rules}, nil
}

// checkExisting checks a directory that existed, and restores its mode where that is enough.
func (f *Dir) checkExisting() error {
	st, err := f.settled()
	if err != nil {
		return err
	}
	if err := f.restore(&st); err != nil {
		return err
	}
	return f.rules.check(f.path.String(), &st)
}

// settled returns the attributes of a directory that existed. The process of another job may
// just have created it and not yet set its mode.
func (f *Dir) settled() (st unix.Stat_t, err error) {
	st, err = f.stat()
	for deadline := time.Now().Add(newDirTime); err == nil && f.rules.tooOpen(&st) && isNew(&st, time.Now()) && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
		st, err = f.stat()
	}
	return st, err
}

// newDirTime is how long another process may need between creating a directory and
// setting its mode.
const newDirTime = 300 * time.Millisecond

// clockError is how far the clock of a file server may differ from this host's.
const clockError = time.Minute

// isNew reports whether a directory can be so new that its mode is not set yet. A cleanup
// meets many old ones, and must not wait for each.
func isNew(st *unix.Stat_t, now time.Time) bool {
	return now.Sub(time.Unix(st.Ctim.Unix())).Abs() <= clockError
}

// checkNew sets the mode of the directory that this process has just created as name in
// dir. It removes the directory after a failure, so that the next job fails for the same
// reason.
func (f *Dir) checkNew(dir int, name string) error {
	err := f.setMode()
	if err != nil {
		_ = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	}
	return err
}

// setMode sets the mode of a new directory: the umask removes permissions from the mode
// of mkdir(2), and inherited access control lists and some network file systems add some.
func (f *Dir) setMode() error {
	st, err := f.stat()
	if err != nil {
		return err
	}
	want, wide := f.rules.mode(), f.rules.tooOpen(&st)
	if st.Mode&0o777 != want {
		_ = unix.Fchmod(f.fd, want|st.Mode&unix.S_ISGID) // the resulting mode is checked
		if st, err = f.stat(); err != nil {
			return err
		}
	}
	if err := f.rules.checkOwner(f.path.String(), &st); err != nil {
		return err
	}
	if f.rules.tooOpen(&st) {
		return f.modesUnsupported(&st)
	}
	if !wide {
		return nil
	}
	if names, err := f.Names(); err != nil || len(names) > 0 {
		return failure.Systemf("cannot use %s: others could enter it for a moment, and it is not empty", f.path).
			WithHint("check its content and remove it: its file system adds permissions to new directories")
	}
	return nil
}

func (f *Dir) modesUnsupported(st *unix.Stat_t) error {
	m := mounts.Of(f.path.String())
	return failure.Systemf("cannot use %s: a new directory there has mode %04o, and chmod does not change it", f.path, st.Mode&0o777).
		WithHint("the file system at %s (%s) does not store modes: use a directory elsewhere, or ask its administrators to mount it for you alone (CIFS: uid=, dir_mode=0700)", m.Point, m.Type)
}

func (f *Dir) stat() (st unix.Stat_t, err error) {
	if err := eintr.Fstat(f.fd, &st); err != nil {
		return st, diskspace.Explain(fmt.Sprintf("cannot read the attributes of %s", f.path), f.path.String(), err)
	}
	return st, nil
}

// checkName rejects a text that is not the name of a directory entry.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q is not the name of a directory", job.Clip(name))
	}
	return nil
}

// Rules are the requirements for every directory of a job: owned by its user, and
// inaccessible to others; with Group its group may read.
type Rules struct {
	Owner job.UID
	Group bool
	// Restored, optional, is called for each directory and file whose mode this package has
	// set again, with what it was.
	Restored func(path string, was uint32)
	// closed is set where others who may enter a directory may change what is below it.
	closed bool
}

func (r Rules) mode() uint32 {
	if r.Group {
		return 0o750
	}
	return 0o700
}

func (r Rules) check(path string, st *unix.Stat_t) error {
	if err := r.checkOwner(path, st); err != nil {
		return err
	}
	if r.tooOpen(st) {
		m := mounts.Of(path)
		return failure.Systemf("%w", unfitError(fmt.Sprintf("cannot use %s: others may enter it (mode %04o)", path, st.Mode&0o777))).
			WithHint("make it private: chmod %o %s (if that changes nothing, the file system at %s, %s, does not store modes)", r.mode(), path, m.Point, m.Type)
	}
	return nil
}

// tooOpen reports whether the mode grants others more than the rules allow.
func (r Rules) tooOpen(st *unix.Stat_t) bool { return st.Mode&0o777&^r.mode() != 0 }

func (r Rules) checkOwner(path string, st *unix.Stat_t) error {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return failure.Systemf("cannot use %s: %w", path, ErrNotDirectory)
	case st.Uid != uint32(r.Owner):
		return failure.Systemf("%w", foreignError(fmt.Sprintf("cannot use %s: owned by %s, not by you", path, accountName(st.Uid)))).
			WithHint("only its owner or an administrator can move it away; an administrator can then create it for you: mkdir -m 0700 %s && chown -h %d %[1]s", path, r.Owner)
	}
	return nil
}

// foreignError is the text of a fault that the user cannot correct: of what belongs to
// another account.
type foreignError string

func (e foreignError) Error() string { return string(e) }

// IsForeign reports whether the error is of something that belongs to another account, so
// that the user can only name another directory.
func IsForeign(err error) bool {
	return errors.As(err, new(foreignError)) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}

// unfitError is the text of a fault of a directory that others may enter, and whose mode was not
// restored.
type unfitError string

func (e unfitError) Error() string { return string(e) }

// IsUnfit reports whether the error is of an entry that cannot become a directory for jobs:
// it is not one, belongs to another account, or others may enter it.
func IsUnfit(err error) bool {
	return errors.Is(err, ErrNotDirectory) || errors.As(err, new(unfitError)) || errors.As(err, new(foreignError))
}

// accountName is an account's name for a message, or its number where /etc/passwd does
// not contain it: a name service could be slow.
func accountName(uid uint32) string {
	text, _ := os.ReadFile("/etc/passwd")
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(line, ":"); len(fields) > 3 && fields[2] == strconv.FormatUint(uint64(uid), 10) {
			return job.Printable(fields[0])
		}
	}
	return fmt.Sprintf("account %d", uid)
}

// Private creates a directory below f that only its owner can access, whatever the rules
// allow the group. Missing parent directories get the mode of f; existing ones stay
// unchanged. If the directory exists, its mode is restricted; a file or link of that name
// is removed.
func (f *Dir) Private(elem ...string) error {
	st, err := f.stat()
	if err != nil {
		return err
	}
	last := len(elem) - 1
	parent, err := f.walk(elem[:last], func(at *Dir, name string) (*Dir, error) {
		return at.makeWithMode(name, st.Mode&0o777)
	})
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := checkName(elem[last]); err != nil {
		return err
	}
	return parent.private(elem[last])
}

func (f *Dir) private(name string) error {
	var st unix.Stat_t
	err := eintr.Fstatat(f.fd, name, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		if err := f.Remove(name, time.Now().Add(time.Second)); err != nil {
			return err
		}
	}
	dir, err := f.makeWithMode(name, 0o700)
	if err != nil {
		return err
	}
	defer dir.Close()
	dir.rules.Group = false
	if st, err = dir.stat(); err != nil {
		return err
	}
	if dir.rules.tooOpen(&st) {
		_ = unix.Fchmod(dir.fd, 0o700) // the resulting mode is checked
		if st, err = dir.stat(); err != nil {
			return err
		}
	}
	return dir.rules.check(dir.path.String(), &st)
}

// makeWithMode opens a directory, and creates it with exactly this mode where it is
// missing, whatever the umask is.
func (f *Dir) makeWithMode(name string, mode uint32) (*Dir, error) {
	merr := eintr.Retry(func() error { return unix.Mkdirat(f.fd, name, 0o700) })
	if merr != nil && !errors.Is(merr, unix.EEXIST) {
		return nil, diskspace.Explain("cannot create "+f.PathOf(name), f.path.String(), merr)
	}
	dir, err := f.openChild(name)
	if err != nil || merr != nil || mode == 0o700 {
		return dir, err
	}
	return dir.orClose(unix.Fchmod(dir.fd, mode))
}
