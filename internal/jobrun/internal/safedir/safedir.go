package safedir

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/mounts"
)

// Folder is an open directory that was judged.
type Folder struct {
	fd    int
	path  job.AbsPath
	rules Rules
}

// Path is the directory as its user knows it. It is for messages and for
// programs that want a path; this package never looks it up again.
func (f *Folder) Path() job.AbsPath { return f.path }

// Close gives the descriptor back.
func (f *Folder) Close() { unix.Close(f.fd) }

// ErrNotDirectory is the reason for refusing a link or a file in the place of a
// directory below a Folder.
var ErrNotDirectory = errors.New("it is not a directory")

// Make opens a directory below f, elem after elem, and makes what is missing.
// Each on the way is judged. The caller closes the result.
func (f *Folder) Make(elem ...string) (*Folder, error) {
	return f.descend(elem, func(at *Folder, name string) (*Folder, error) {
		err := again(func() error { return unix.Mkdirat(at.fd, name, at.rules.mode()) })
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, diskspace.Explain("cannot make "+at.shown(name), at.path.String(), err)
		}
		below, oerr := at.enter(name)
		if oerr != nil {
			return nil, oerr
		}
		if err == nil {
			return below, below.acceptNew(at.fd, name)
		}
		return below, below.accept()
	})
}

// Open opens a directory below f. Each on the way is judged. Its error is
// unix.ENOENT where there is none.
func (f *Folder) Open(elem ...string) (*Folder, error) {
	return f.descend(elem, func(at *Folder, name string) (*Folder, error) {
		below, err := at.enter(name)
		if err != nil {
			return nil, err
		}
		return below, below.accept()
	})
}

// Find opens a directory below f whose owner and mode are no concern: one that
// the job's own scripts have made.
func (f *Folder) Find(elem ...string) (*Folder, error) {
	return f.descend(elem, (*Folder).enter)
}

func (f *Folder) descend(elem []string, step func(*Folder, string) (*Folder, error)) (*Folder, error) {
	at, err := f.duplicate()
	for _, name := range elem {
		if err != nil {
			break
		}
		var below *Folder
		if err = proper(name); err == nil {
			below, err = step(at, name)
		}
		at.Close()
		at = below
	}
	if err != nil && at != nil {
		at.Close()
		at = nil
	}
	return at, err
}

func (f *Folder) duplicate() (*Folder, error) {
	fd, err := unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("cannot keep %s open: %w", f.path, err)
	}
	return &Folder{fd, f.path, f.rules}, nil
}

// enter opens one directory, which is not a link.
func (f *Folder) enter(name string) (*Folder, error) {
	path, err := f.path.Join(name)
	if err != nil {
		return nil, err
	}
	fd, err := openat(f.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, err
	case errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP):
		return nil, failure.Systemf("cannot use %s: %w", path, ErrNotDirectory).
			WithHint("remove it; a symbolic link may stand for the base directory only")
	case err != nil:
		return nil, diskspace.Explain(fmt.Sprintf("cannot open %s", path), f.path.String(), err)
	}
	return &Folder{fd, path, f.rules}, nil
}

// accept judges a directory that was there. The process of another job may have made
// it just now.
func (f *Folder) accept() error {
	st, err := f.stat()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(settleTime); f.rules.wide(&st) && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if st, err = f.stat(); err != nil {
			return err
		}
	}
	return f.rules.judge(f.path.String(), &st)
}

// settleTime is how long another process may need between making a directory and
// setting its mode.
const settleTime = 300 * time.Millisecond

// acceptNew accepts the directory that this process has just made as name in dir, or
// removes it: the next job's user must read the same reason.
func (f *Folder) acceptNew(dir int, name string) error {
	err := f.settle()
	if err != nil {
		_ = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	}
	return err
}

// settle gives a new directory its mode: the umask takes a part of what mkdir(2) was
// told, and inherited access control lists and some network file systems add to it.
func (f *Folder) settle() error {
	st, err := f.stat()
	if err != nil {
		return err
	}
	want, wide := f.rules.mode(), f.rules.wide(&st)
	if st.Mode&0o777 != want {
		_ = unix.Fchmod(f.fd, want|st.Mode&unix.S_ISGID) // the mode that it then has decides
		if st, err = f.stat(); err != nil {
			return err
		}
	}
	if err := f.rules.judgeOwner(f.path.String(), &st); err != nil {
		return err
	}
	if f.rules.wide(&st) {
		return f.withoutModes(&st)
	}
	if names, err := f.Names(); wide && (err != nil || len(names) > 0) {
		return failure.Systemf("cannot use %s: others could enter it for a moment, and it is not empty", f.path).
			WithHint("look at what is in it and remove it: its file system adds rights to new directories")
	}
	return nil
}

func (f *Folder) withoutModes(st *unix.Stat_t) error {
	m := mounts.Of(f.path.String())
	return failure.Systemf("cannot use %s: a new directory there has mode %04o, and chmod does not change it", f.path, st.Mode&0o777).
		WithHint("the file system at %s (%s) keeps no modes: use a directory elsewhere, or ask its administrators to have it mounted for you alone (CIFS: uid=, dir_mode=0700)", m.Point, m.Type)
}

func (f *Folder) stat() (st unix.Stat_t, err error) {
	if err := fstat(f.fd, &st); err != nil {
		return st, diskspace.Explain(fmt.Sprintf("cannot look at %s", f.path), f.path.String(), err)
	}
	return st, nil
}

func (f *Folder) shown(name string) string { return f.path.String() + "/" + name }

// proper refuses what is not the name of a directory entry.
func proper(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q is not the name of a directory", job.Clip(name))
	}
	return nil
}
