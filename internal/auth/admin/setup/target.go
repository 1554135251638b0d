package setup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/noreplace"
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

// Place puts a configuration where it belongs. It is loaded from next to its
// place first: a file that jobs could not use never gets there. An existing file
// is an error unless force is set.
func Place(path job.AbsPath, text string, access Access, force bool) error {
	t, err := openTarget(path, trustedfile.Self())
	if err != nil {
		return err
	}
	defer t.close()
	d, err := t.draft()
	if err != nil {
		return err
	}
	defer d.discard()
	if _, err := d.WriteString(text); err != nil {
		return err
	}
	if err := loads(filepath.Join(filepath.Dir(t.entry.Path), d.name)); err != nil {
		return err
	}
	if err := errors.Join(d.Chown(access.UID, access.GID), d.Chmod(access.Mode)); err != nil {
		return err
	}
	return d.place(force)
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
	fd, err := unix.Openat(t.entry.Dir, t.entry.Name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: t.path.String(), Err: err}
	}
	return os.NewFile(uintptr(fd), t.path.String()), nil
}

// draft is a new file next to the target, for its maker alone.
type draft struct {
	*os.File
	at   target
	name string
}

func (t target) draft() (*draft, error) {
	name := "." + t.entry.Name + "-" + rand.Text()
	fd, err := unix.Openat(t.entry.Dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "make a file next to", Path: t.path.String(), Err: err}
	}
	return &draft{os.NewFile(uintptr(fd), t.path.String()), t, name}, nil
}

// place closes the draft and makes it the target. An existing file is an error unless
// replace is set.
func (d *draft) place(replace bool) error {
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return err
	}
	dir, name := d.at.entry.Dir, d.at.entry.Name
	if replace {
		return unix.Renameat(dir, d.name, dir, name)
	}
	err := noreplace.Rename(dir, d.name, dir, name)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s exists: give --force to replace it", d.at.path)
	}
	return err
}

// discard removes a draft that was not placed.
func (d *draft) discard() {
	d.Close()
	_ = unix.Unlinkat(d.at.entry.Dir, d.name, 0) // gone by then, when all went well
}
