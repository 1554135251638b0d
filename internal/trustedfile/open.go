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
func (t Trust) Open(path job.AbsPath, limit int64) (*os.File, error) {
	return t.open(path, rules{limit: limit})
}

// OpenExecutable is Open for a program: the file must have an execute bit too.
// The descriptor is for reading, so that what is checked is what will run.
func (t Trust) OpenExecutable(path job.AbsPath, limit int64) (*os.File, error) {
	return t.open(path, rules{limit: limit, executable: true})
}

// Read returns the contents of the file at path under the rules of Open.
func (t Trust) Read(path job.AbsPath, limit int64) ([]byte, error) {
	f, err := t.Open(path, limit)
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
func (t Trust) Judge(path job.AbsPath) []Fault {
	return t.judge(path, rules{limit: unlimited}, (*walk).toParent)
}

// JudgeProgram is Judge for a program that is going to be run by its path, which
// may be a symbolic link to it.
func (t Trust) JudgeProgram(path job.AbsPath) []Fault {
	return t.judge(path, rules{limit: unlimited}, (*walk).toTarget)
}

func (t Trust) judge(path job.AbsPath, r rules, way func(*walk) (string, bool)) []Fault {
	w := newWalk(path, t, r, true)
	defer w.close()
	if last, ok := way(w); ok {
		w.file(last)
	}
	return w.faults
}

const unlimited = 1<<63 - 1

func (t Trust) open(path job.AbsPath, r rules) (*os.File, error) {
	w := newWalk(path, t, r, false)
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
		w.add(w.trust.judgeFile(w.at.join(name), st, w.rules))
	}
	if len(w.faults) == 0 {
		return fd, true
	}
	unix.Close(fd)
	return -1, false
}
