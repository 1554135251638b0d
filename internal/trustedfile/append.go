package trustedfile

import (
	"errors"
	"os"

	"jacamar-ci/internal/job"

	"golang.org/x/sys/unix"
)

// OpenAppend opens the file at path for writing at its end, and for reading,
// under the rules of Open, and makes it with mode 0600 when it does not exist: a
// log that others could replace would be a way to write into any file.
func (t Trust) OpenAppend(path job.AbsPath) (*os.File, error) { return t.openOwn(path, unix.O_APPEND) }

// OpenUpdate is OpenAppend for a file that is read and written anywhere.
func (t Trust) OpenUpdate(path job.AbsPath) (*os.File, error) { return t.openOwn(path, 0) }

func (t Trust) openOwn(path job.AbsPath, flags int) (*os.File, error) {
	w := newWalk(path, t, rules{limit: unlimited}, false)
	defer w.close()
	last, ok := w.toParent()
	if !ok {
		return nil, &w.faults[0]
	}
	if _, err := fstatat(w.at.fd, last); !errors.Is(err, unix.ENOENT) && !w.file(last) {
		return nil, &w.faults[0]
	}
	fd, ok := w.openAs(last, unix.O_RDWR|unix.O_CREAT|flags)
	if !ok {
		return nil, &w.faults[0]
	}
	return os.NewFile(uintptr(fd), path.String()), nil
}
