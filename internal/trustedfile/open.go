package trustedfile

import (
	"fmt"
	"io"
	"os"

	"jacamar-ci/internal/job"

	"golang.org/x/sys/unix"
)

// Open opens the file at path for reading when it can be trusted and is not
// longer than limit bytes. Its first fault is the error, as a *Fault.
func Open(path job.AbsPath, limit int64) (*os.File, error) {
	return open(path, rules{limit: limit})
}

// OpenExecutable is Open for a program: the file must have an execute bit too.
// The descriptor is for reading, so that what is checked is what will run.
func OpenExecutable(path job.AbsPath, limit int64) (*os.File, error) {
	return open(path, rules{limit: limit, executable: true})
}

// Read returns the contents of the file at path under the rules of Open.
func Read(path job.AbsPath, limit int64) ([]byte, error) {
	f, err := Open(path, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", show(path.String()), err)
	}
	if int64(len(b)) > limit {
		return nil, tooLong(path.String(), limit)
	}
	return b, nil
}

// Judge lists every reason not to trust the file at path: its own faults and
// those of each directory and link on the way. It reads nothing of the file.
func Judge(path job.AbsPath) []Fault {
	return newWalk(path, rules{limit: unlimited}, true).judge()
}

// JudgeRoot is Judge for a file that only root may have made. It is for a process
// with more power than its account: what the account itself could write must not
// steer it.
func JudgeRoot(path job.AbsPath) []Fault {
	w := newWalk(path, rules{limit: unlimited}, true)
	w.euid = 0
	return w.judge()
}

func (w *walk) judge() []Fault {
	defer w.close()
	if last, ok := w.toParent(); ok {
		w.file(last)
	}
	return w.faults
}

const unlimited = 1<<63 - 1

func open(path job.AbsPath, r rules) (*os.File, error) {
	w := newWalk(path, r, false)
	defer w.close()
	last, ok := w.toParent()
	if !ok || !w.file(last) {
		return nil, &w.faults[0]
	}
	fd, ok := w.openAs(last, unix.O_RDONLY)
	if !ok {
		return nil, &w.faults[0]
	}
	return os.NewFile(uintptr(fd), path.String()), nil
}

// openAs opens what file has judged by its name, and judges the descriptor
// again: it is the one that will be believed.
func (w *walk) openAs(name string, flags int) (fd int, ok bool) {
	fd, err := openat(w.at.fd, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		w.systemFault(w.at.join(name), err)
		return -1, false
	}
	st, err := fstat(fd)
	if err != nil {
		w.systemFault(w.at.join(name), err)
	} else {
		w.add(judgeFile(w.at.join(name), st, w.euid, w.rules))
	}
	if len(w.faults) == 0 {
		return fd, true
	}
	unix.Close(fd)
	return -1, false
}
