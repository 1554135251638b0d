package initial

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
)

// Access is whose a file is, and who may read it.
type Access struct {
	UID, GID int
	Mode     fs.FileMode
}

// AccessFor lets the account of the service read the file. Where root makes it
// for another account it stays root's: an account whose jacamar-auth can become
// anybody must not be the one to say whom.
func AccessFor(service job.Account, maker job.UID) Access {
	if service.UID == maker {
		return Access{int(service.UID), int(service.GID), 0o600}
	}
	return Access{int(maker), int(service.GID), 0o640}
}

// Place puts a configuration where it belongs. It is loaded from beside its
// place first: a file that jobs could not use never gets there. An existing file
// is an error unless force is set.
func Place(path job.AbsPath, text string, access Access, force bool) error {
	f, err := os.CreateTemp(filepath.Dir(path.String()), ".jacamar-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone by then, when all went well
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync()); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := loads(f.Name()); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Chown(access.UID, access.GID), f.Chmod(access.Mode), f.Close()); err != nil {
		return err
	}
	return moveTo(path.String(), f.Name(), force)
}

func loads(name string) error {
	p, err := job.ParseAbsPath(name)
	if err != nil {
		return err
	}
	_, err = config.Load(p)
	return err
}

// moveTo links without force, because a rename would replace a file that came
// after we looked.
func moveTo(path, from string, force bool) error {
	if force {
		return os.Rename(from, path)
	}
	err := os.Link(from, path)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists: give --force to replace it", path)
	}
	return err
}
