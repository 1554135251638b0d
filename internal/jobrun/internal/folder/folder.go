package folder

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/storage"
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

// Make opens a directory below f, elem after elem, and makes what is missing.
// Each on the way is judged. The caller closes the result.
func (f *Folder) Make(elem ...string) (*Folder, error) {
	return f.descend(elem, func(at *Folder, name string) (*Folder, error) {
		err := again(func() error { return unix.Mkdirat(at.fd, name, at.rules.mode()) })
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, storage.Explain("cannot make "+at.shown(name), at.path.String(), err)
		}
		below, oerr := at.enter(name)
		if oerr != nil {
			return nil, oerr
		}
		return below, below.accept(err == nil)
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
		return below, below.accept(false)
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
		return nil, failure.Systemf("cannot use %s: it is not a directory", path).
			WithHint("remove it; a symbolic link may stand for the base directory only")
	case err != nil:
		return nil, storage.Explain(fmt.Sprintf("cannot open %s", path), f.path.String(), err)
	}
	return &Folder{fd, path, f.rules}, nil
}

// accept judges a directory; one that was just made gets its whole mode, of
// which the umask takes a part.
func (f *Folder) accept(made bool) error {
	if made && f.rules.Group {
		if err := unix.Fchmod(f.fd, f.rules.mode()); err != nil {
			return storage.Explain(fmt.Sprintf("cannot set the mode of %s", f.path), f.path.String(), err)
		}
	}
	var st unix.Stat_t
	if err := fstat(f.fd, &st); err != nil {
		return storage.Explain(fmt.Sprintf("cannot look at %s", f.path), f.path.String(), err)
	}
	return f.rules.judge(f.path.String(), &st)
}

func (f *Folder) shown(name string) string { return f.path.String() + "/" + name }

// proper refuses what is not the name of a directory entry.
func proper(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q is not the name of a directory", job.Clip(name))
	}
	return nil
}
