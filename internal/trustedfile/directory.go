package trustedfile

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

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
	err := retry(func() error { return unix.Lstat(d.path, &st) })
	return err == nil && st.Ino == d.at.st.Ino && newFileStat(&st).sameAccess(d.at.st)
}

// Close closes the directory.
func (d *Directory) Close() { unix.Close(d.at.fd) }
