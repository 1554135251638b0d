package setup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// Access is whose a file is, and who may read it.
type Access struct {
	UID, GID int
	Mode     fs.FileMode
}

// AccessFor lets the account of the service read the file. Where root makes it
// for another account it stays root's: an account whose jacamar-auth can become
// any account must not decide which.
func AccessFor(service job.Account, maker job.UID) Access {
	if service.UID == maker {
		return Access{int(service.UID), int(service.GID), 0o600}
	}
	return Access{int(maker), int(service.GID), 0o640}
}

// NewFile writes a configuration next to its place and loads it from there: a file that
// jobs could not use never gets its place. An existing file is an error in Apply unless
// force is set.
func NewFile(path job.AbsPath, text string, access Access, force bool) (*Change, error) {
	t, err := openTarget(path, trustedfile.Self())
	if err != nil {
		return nil, missingDirectory(path, access, err)
	}
	c, err := t.change(text, access, force, func(draft string) error {
		return named(loads(filepath.Join(filepath.Dir(t.entry.Path), draft)), draft, t.entry.Name)
	})
	if err == nil {
		c.closed = true
	}
	return c, err
}

// missingDirectory completes an error by the command that makes the directory, for the
// account of the service as well.
func missingDirectory(path job.AbsPath, access Access, err error) error {
	dir := filepath.Dir(path.String())
	if _, lost := os.Lstat(dir); !errors.Is(lost, fs.ErrNotExist) {
		return err
	}
	mode := "0755"
	if access.UID == access.GID && access.UID == 0 {
		mode = "0700"
	}
	return fmt.Errorf("there is no directory %s: run: install -d -m %s %[1]s", dir, mode)
}

// named is an error about a draft in words about the file that it is to become.
func named(err error, draft, name string) error {
	if err == nil || !strings.Contains(err.Error(), draft) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), draft, name))
}

func loads(name string) error {
	p, err := job.ParseAbsPath(name)
	if err != nil {
		return err
	}
	_, err = config.Load(p)
	return err
}

// target is the place of a file in a directory that was judged together with the way
// to it. All is done in that very directory, whatever its path means later: root may
// work in a directory of the service account, which could put a link in its place.
type target struct {
	entry trustedfile.Entry
	path  job.AbsPath
}

func openTarget(path job.AbsPath, trust trustedfile.Trust) (target, error) {
	entry, err := trust.FindEntry(path, nil)
	if err != nil {
		return target{}, err
	}
	if entry.Linked {
		entry.Close()
		return target{}, fmt.Errorf("%s is a symbolic link: name the file by its real path", path)
	}
	return target{entry, path}, nil
}

func (t target) close() { t.entry.Close() }

// open opens the file for reading, without waiting and never through a link.
func (t target) open() (*os.File, error) {
	fd, err := eintr.Openat(t.entry.Dir, t.entry.Name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: t.path.String(), Err: err}
	}
	return os.NewFile(uintptr(fd), t.path.String()), nil
}

// read reads at most limit bytes of a regular file.
func (t target) read(limit int64) (text string, is unix.Stat_t, err error) {
	f, err := t.open()
	if err != nil {
		return "", is, err
	}
	defer f.Close()
	if err = eintr.Fstat(int(f.Fd()), &is); err == nil && is.Mode&unix.S_IFMT != unix.S_IFREG {
		err = fmt.Errorf("%s is not a regular file", t.path)
	}
	if err != nil {
		return "", is, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit))
	return string(b), is, err
}
