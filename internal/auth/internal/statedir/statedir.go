// Package statedir stores the files of jacamar-auth's own state: GitLab's keys, the key
// that seals a job's state, the operator's log and the journal. The directory belongs to
// one account, and no other may change it: its contents decide which account a job gets.
// Several processes may use it concurrently: keys are only created or replaced as a whole,
// and the log and the journal only grow.
package statedir

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/lockwait"
	"jacamar-ci/internal/trustedfile"
)

// Dir is the directory and the account that owns it. Copies share the open directory,
// which is judged once and not again while it stays as it was judged.
type Dir struct {
	path   job.AbsPath
	runAs  *thread.IDs
	judged *judged
}

// judged is the open directory, nil before the first access.
type judged struct {
	mu  sync.Mutex
	dir *trustedfile.Directory
}

// New returns the directory at path, which is accessed with the ids runAs, nil for
// those of this process. It opens nothing.
func New(path job.AbsPath, runAs *thread.IDs) (Dir, error) {
	if path.IsZero() {
		return Dir{}, failure.Configf("cannot store state: no state directory is configured")
	}
	return Dir{path, runAs, &judged{}}, nil
}

// Path returns the directory's path.
func (d Dir) Path() job.AbsPath { return d.path }

// Read returns the contents of a file of at most limit bytes. A directory that others
// could change is a failure.Config error, because they could supply every file in it.
// Any other error, such as fs.ErrNotExist, is about the file.
func (d Dir) Read(name string, limit int64) (b []byte, err error) {
	err = d.runAs.WithIDs(func() (err error) { b, err = d.read(name, limit); return err })
	return b, err
}

// Load is Read, and creates a missing directory.
func (d Dir) Load(name string, limit int64) (b []byte, err error) {
	err = d.withDirectory(func() error { b, err = d.read(name, limit); return err })
	return b, err
}

// OpenAppend opens a file for reading and appending under the rules of
// trustedfile.Trust.OpenAppend. It creates a missing file, and a missing directory.
func (d Dir) OpenAppend(name string) (*os.File, error) {
	return d.open(name, (*trustedfile.Directory).OpenAppend)
}

// OpenUpdate is OpenAppend for a file that is written at any offset.
func (d Dir) OpenUpdate(name string) (*os.File, error) {
	return d.open(name, (*trustedfile.Directory).OpenUpdate)
}

func (d Dir) open(name string, open func(*trustedfile.Directory, string) (*os.File, error)) (f *os.File, err error) {
	err = d.withDirectory(func() error {
		dir, err := d.enter()
		if err == nil {
			f, err = open(dir, name)
		}
		return err
	})
	return f, err
}

// enter returns the open directory, judged with its whole path. The error is a
// *trustedfile.Fault.
func (d Dir) enter() (*trustedfile.Directory, error) {
	j := d.judged
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.dir != nil && j.dir.Unchanged() {
		return j.dir, nil
	}
	if j.dir != nil {
		j.dir.Close()
		j.dir = nil
	}
	dir, err := trustedfile.Self().EnterDirectory(d.path)
	if err == nil {
		j.dir = dir
	}
	return dir, err
}

// Inside runs f with the ids of the directory's account on a directory in it, which is
// made where there is none. The state directory itself must exist.
func (d Dir) Inside(name string, f func(job.AbsPath) error) error {
	sub, err := d.file(name)
	if err != nil {
		return err
	}
	return d.runAs.WithIDs(func() error {
		if _, err := d.enterOwn(); err != nil {
			return err
		}
		if err := os.Mkdir(sub.String(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return d.fault(fmt.Errorf("cannot make %s in it: %w", name, withoutPath(err)), "look at the file system")
		}
		return f(sub)
	})
}

// Lock waits until no other process has the lock of the directory, at most until the
// deadline or until ctx ends. It returns why this process does not have it, ErrLocked where
// another one does. The lock ends with release, or with this process. A directory that other
// accounts can open has none: they could take the lock and keep it.
func (d Dir) Lock(ctx context.Context, deadline time.Time) (release func(), err error) {
	var dir *os.File
	err = d.runAs.WithIDs(func() (err error) {
		dir, err = os.OpenFile(d.path.String(), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	if info, err := dir.Stat(); err != nil || info.Mode().Perm()&0o077 != 0 {
		dir.Close()
		return nil, errors.Join(err, errOpenToOthers)
	}
	err = lockwait.Poll(deadline, lockPause, func() error {
		return cmp.Or(ctx.Err(), unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	})
	switch {
	case err == nil:
		return func() { dir.Close() }, nil
	case errors.Is(err, unix.EAGAIN):
		err = ErrLocked
	}
	dir.Close()
	return nil, err
}

var errOpenToOthers = errors.New("other accounts can open the state directory")

// ErrLocked reports that another process has the lock of a directory.
var ErrLocked = errors.New("another process has locked the state directory")

const lockPause = 50 * time.Millisecond

// withDirectory calls try; if the directory is missing, it creates it and calls try
// again.
func (d Dir) withDirectory(try func() error) error {
	return d.runAs.WithIDs(func() error {
		if err := try(); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// try has checked every directory down to the first missing one.
		if err := os.Mkdir(d.path.String(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return d.fault(withoutPath(err), d.makeCommand())
		}
		return try()
	})
}

func (d Dir) file(name string) (job.AbsPath, error) {
	file, err := d.path.Join(name)
	if err != nil {
		return file, d.fault(err, "configure a shorter path")
	}
	return file, nil
}

// Fault is why the directory cannot be used, and what to do as root.
type Fault struct {
	Dir job.AbsPath
	Err error
	Fix string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("cannot use the state directory %s: %s: %s", f.Dir, f.Err, f.Fix)
}

// Unwrap returns the reason.
func (f *Fault) Unwrap() error { return f.Err }

func (d Dir) fault(why error, fix string) error {
	return failure.Configf("%w", &Fault{d.path, why, fix})
}

func (d Dir) makeCommand() string {
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	if d.runAs != nil {
		uid, gid = d.runAs.UID, d.runAs.GID
	}
	return fmt.Sprintf("run: install -d -m 0700 -o %d -g %d %s", uid, gid, d.path)
}

func (d Dir) read(name string, limit int64) ([]byte, error) {
	dir, err := d.enterOwn()
	if err != nil {
		return nil, err
	}
	b, mode, err := dir.Read(name, limit)
	if err == nil && mode&0o077 != 0 {
		return nil, fmt.Errorf("other accounts have access (mode %04o)", mode)
	}
	return b, err
}

// enterOwn is enter for contents that this account alone may supply.
func (d Dir) enterOwn() (*trustedfile.Directory, error) {
	return d.own(d.enter())
}

// own judges the result of enter.
func (d Dir) own(dir *trustedfile.Directory, err error) (*trustedfile.Directory, error) {
	var fault *trustedfile.Fault
	if errors.As(err, &fault) && fault.Path != d.path.String() {
		return nil, d.fault(fmt.Errorf("%s %w", fault.Path, problem{fault}), fault.Fix)
	}
	if err := d.checkOwner(); err != nil {
		return nil, err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err // another process has made the directory since
	}
	if fault != nil {
		return nil, d.fault(problem{fault}, fault.Fix)
	}
	return dir, err
}

// problem is a fault in a sentence that has its path already.
type problem struct{ fault *trustedfile.Fault }

func (p problem) Error() string { return p.fault.Problem }

// Unwrap returns the system's error, except that of a missing directory, which is not made
// here.
func (p problem) Unwrap() error {
	if errors.Is(p.fault, fs.ErrNotExist) {
		return nil
	}
	return p.fault.Err
}

// checkOwner is stricter than trustedfile: the account itself must own the directory,
// not root.
func (d Dir) checkOwner() error {
	info, err := os.Lstat(d.path.String())
	if err != nil {
		return d.fault(withoutPath(err), d.makeCommand())
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return d.fault(errors.New("it is not a directory"), "remove it, and "+d.makeCommand())
	}
	if problem := ownerProblem(stat.Uid, info.Mode().Perm(), uint32(os.Geteuid())); problem != "" {
		return d.fault(errors.New(problem), fmt.Sprintf("run: chown -R %d %s && chmod 0700 %[2]s", os.Geteuid(), d.path))
	}
	return nil
}

// ownerProblem returns why a directory is not private to this account, "" if it is.
// Others may read that of root: the files in it are private.
func ownerProblem(owner uint32, mode fs.FileMode, euid uint32) string {
	switch {
	case owner != euid:
		return fmt.Sprintf("it belongs to uid %d, not to %d", owner, euid)
	case owner == 0 && mode&0o022 == 0, mode == 0o700:
		return ""
	}
	return fmt.Sprintf("its mode is %04o, not 0700", mode)
}

// Replace creates or replaces a file.
func (d Dir) Replace(name string, b []byte) error {
	return d.put(b, func(root *os.Root, temp string) error { return root.Rename(temp, name) })
}

// Add creates a file after its contents are on the disk. It returns fs.ErrExist if the
// file exists already.
func (d Dir) Add(name string, b []byte) error {
	return d.put(b, func(root *os.Root, temp string) error {
		return errors.Join(root.Link(temp, name), root.Remove(temp))
	})
}

// put writes a temporary file and calls place to give it its name.
func (d Dir) put(b []byte, place func(root *os.Root, temp string) error) error {
	return d.runAs.WithIDs(func() error {
		root, err := os.OpenRoot(d.path.String())
		if err != nil {
			return withoutPath(err)
		}
		defer root.Close()
		sweep(root)
		temp := tempPrefix + rand.Text()
		err = write(root, temp, b)
		if err == nil {
			err = place(root, temp)
		}
		if err != nil {
			_ = root.Remove(temp)
			return withoutPath(err)
		}
		return nil
	})
}

func write(root *os.Root, name string, b []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// tempPrefix is the prefix of the name of a file that is being written.
const tempPrefix = ".new-"

// sweep removes temporary files that a killed process left.
func sweep(root *os.Root) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return
	}
	past := time.Now().Add(-time.Hour)
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), tempPrefix) && info.ModTime().Before(past) {
			_ = root.Remove(e.Name())
		}
	}
}

// withoutPath removes the path from an error for a text that contains it already.
func withoutPath(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}
