package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// errInUse reports that a stage of the job runs, or that another process cleans up
// after it.
var errInUse = errors.New("a stage of it runs")

// ErrTaken reports that another process cleans up after the job of a stage that begins.
var ErrTaken = errors.New("another process cleans up after the job")

// TakeOver opens the file of a job for this process alone, with the events so far. The
// error is errInUse while another process has the file, and fs.ErrNotExist where there
// is none.
func (j *Journal) TakeOver(k Key) (*Live, Record, error) {
	file, err := j.file(liveDir, k.String(), 0)
	if err != nil {
		return nil, Record{}, err
	}
	r, err := takeOver(file)
	if err == nil && !j.has(k, file) {
		err = fs.ErrNotExist // another process was faster
	}
	if err != nil {
		file.Close()
		return nil, Record{}, err
	}
	r.Key = k
	return &Live{j, k, file}, r, nil
}

func takeOver(file *os.File) (Record, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: 0, Len: 1}
	err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return Record{}, errInUse
	}
	if err != nil {
		return Record{}, fmt.Errorf("cannot lock %s: %w", file.Name(), err)
	}
	info, err := file.Stat()
	if err != nil {
		return Record{}, fmt.Errorf("cannot examine %s: %w", file.Name(), err)
	}
	text := make([]byte, min(info.Size(), maxLiveFile))
	n, err := file.ReadAt(text, 0)
	if n < len(text) {
		return Record{}, fmt.Errorf("cannot read %s: %w", file.Name(), err)
	}
	return Record{Events: parseEvents(text), Live: true, Changed: info.ModTime()}, nil
}

// has reports whether the open file still is the job's.
func (j *Journal) has(k Key, file *os.File) bool {
	named, err := j.file(liveDir, k.String(), 0)
	if err != nil {
		return false
	}
	defer named.Close()
	a, err1 := file.Stat()
	b, err2 := named.Stat()
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// Keys returns the keys of the live jobs with a number in a project. A host that serves
// two GitLab servers can have several.
func (j *Journal) Keys(project, id job.ID) ([]Key, error) {
	keys, err := j.keysIn(liveDir)
	return slices.DeleteFunc(keys, func(k Key) bool { return k.Project != project || k.Job != id }), err
}
