package setup

import (
	"errors"
	"io/fs"
	"path/filepath"

	"jacamar-ci/internal/config"
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
