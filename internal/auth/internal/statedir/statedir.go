// Package statedir keeps the few files of jacamar-auth's own state: GitLab's keys and
// the key that seals a job's state. Their directory belongs to one account and to
// no other: what is in it decides who is who. Several processes may use it at once,
// since a file is only ever put there as a whole.
package statedir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// Dir is the directory, and the account that has it.
type Dir struct {
	path job.AbsPath
	as   *thread.IDs
}

// New names the directory and the ids to work in it with, nil for this process's
// own; it opens nothing.
func New(path job.AbsPath, as *thread.IDs) (Dir, error) {
	if path.IsZero() {
		return Dir{}, failure.Configf("cannot keep state: no state directory is configured")
	}
	return Dir{path, as}, nil
}

// Path returns the directory's path.
func (d Dir) Path() job.AbsPath { return d.path }

// Read returns the contents of a file that is at most limit bytes long. A directory
// that others could change is a failure.Config, because every file in it would be
// theirs; any other error, such as fs.ErrNotExist, is about the file alone.
func (d Dir) Read(name string, limit int64) (b []byte, err error) {
	file, err := d.file(name)
	if err != nil {
		return nil, err
	}
	err = d.as.Open(func() (err error) { b, err = d.read(file, limit); return err })
	return b, err
}

// Load is Read, and makes the directory where there is none.
func (d Dir) Load(name string, limit int64) (b []byte, err error) {
	err = d.making(name, func(file job.AbsPath) error { b, err = d.read(file, limit); return err })
	return b, err
}

// Open has a file opened by open, which is called with the ids of the directory's
// account, and makes the directory where there is none.
func (d Dir) Open(name string, open func(job.AbsPath) (*os.File, error)) (f *os.File, err error) {
	err = d.making(name, func(file job.AbsPath) error { f, err = open(file); return err })
	return f, err
}

// making tries once more, with the directory made, when there is none.
func (d Dir) making(name string, try func(job.AbsPath) error) error {
	file, err := d.file(name)
	if err != nil {
		return err
	}
	return d.as.Open(func() error {
		if err := try(file); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// Every directory down to the first missing one is trusted by now.
		if err := os.Mkdir(d.path.String(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return d.fault(cause(err), d.makeCommand())
		}
		return try(file)
	})
}

func (d Dir) file(name string) (job.AbsPath, error) {
	file, err := d.path.Join(name)
	if err != nil {
		return file, d.fault(err, "configure a shorter path")
	}
	return file, nil
}

// Fault is why the directory cannot be used, and what to do, as root.
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
	if d.as != nil {
		uid, gid = d.as.UID, d.as.GID
	}
	return fmt.Sprintf("run: install -d -m 0700 -o %d -g %d %s", uid, gid, d.path)
}

func (d Dir) read(file job.AbsPath, limit int64) ([]byte, error) {
	b, err := trustedfile.Self().Read(file, limit)
	var fault *trustedfile.Fault
	above := errors.As(err, &fault) && fault.Path != file.String()
	if above && fault.Path != d.path.String() {
		return nil, d.fault(fmt.Errorf("%s %s", fault.Path, fault.Problem), fault.Fix)
	}
	if err := d.judge(); err != nil {
		return nil, err
	}
	if above && errors.Is(err, fs.ErrNotExist) {
		return nil, err // another process has made the directory since
	}
	if above {
		return nil, d.fault(errors.New(fault.Problem), fault.Fix)
	}
	if info, lerr := os.Lstat(file.String()); err == nil && lerr == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("it is open to other accounts (mode %04o)", info.Mode().Perm())
	}
	return b, err
}

// judge is stricter than trustedfile: root's directory is not another account's to
// keep state in.
func (d Dir) judge() error {
	info, err := os.Lstat(d.path.String())
	if err != nil {
		return d.fault(cause(err), d.makeCommand())
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return d.fault(errors.New("it is not a directory"), "remove it, and "+d.makeCommand())
	}
	if problem := problem(stat.Uid, info.Mode().Perm(), uint32(os.Geteuid())); problem != "" {
		return d.fault(errors.New(problem), fmt.Sprintf("run: chown -R %d %s && chmod 0700 %[2]s", os.Geteuid(), d.path))
	}
	return nil
}

// problem returns why a directory is not this account's alone, "" where it is.
// Root's may be read by others: all files in it are closed to them.
func problem(owner uint32, mode fs.FileMode, euid uint32) string {
	switch {
	case owner != euid:
		return fmt.Sprintf("it belongs to uid %d, not to %d", owner, euid)
	case owner == 0 && mode&0o022 == 0, mode == 0o700:
		return ""
	}
	return fmt.Sprintf("its mode is %04o, not 0700", mode)
}

// Replace puts a file there, instead of one of that name.
func (d Dir) Replace(name string, b []byte) error {
	return d.put(b, func(root *os.Root, temp string) error { return root.Rename(temp, name) })
}

// Add puts a file there that the disk has in full; it returns fs.ErrExist when
// there is one of that name, which stays.
func (d Dir) Add(name string, b []byte) error {
	return d.put(b, func(root *os.Root, temp string) error {
		return errors.Join(root.Link(temp, name), root.Remove(temp))
	})
}

// put writes a temporary file and has it placed.
func (d Dir) put(b []byte, place func(root *os.Root, temp string) error) error {
	return d.as.Open(func() error {
		root, err := os.OpenRoot(d.path.String())
		if err != nil {
			return cause(err)
		}
		defer root.Close()
		sweep(root)
		temp := temporary + rand.Text()
		err = write(root, temp, b)
		if err == nil {
			err = place(root, temp)
		}
		if err != nil {
			_ = root.Remove(temp)
			return cause(err)
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

// temporary begins the name of a file that is being written.
const temporary = ".new-"

// sweep removes what a killed process left half written.
func sweep(root *os.Root) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return
	}
	past := time.Now().Add(-time.Hour)
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), temporary) && info.ModTime().Before(past) {
			_ = root.Remove(e.Name())
		}
	}
}

// cause drops the path from an error whose text names the directory already.
func cause(err error) error {
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
