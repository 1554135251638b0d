package workspace

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// leftoversFile is the file in the base that lists what cleanups could not remove,
// for the next jobs: a cleanup itself has no way to tell the user.
const leftoversFile = "leftovers"

const (
	maxLeftovers    = 20
	leftoversLimit  = 64 << 10 // bytes
	leftoverReasons = 600      // bytes of one
)

// note keeps the reason for which something is left. What only takes more time than
// there is, is done by the next cleanup.
func (w *Workspace) note(path string, err error) {
	if err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, safedir.ErrLate) || len(w.left) == maxLeftovers {
		return
	}
	w.left = append(w.left, ipc.Leftover{Path: path, Reason: job.Cut(err.Error(), leftoverReasons)})
}

// noteStorage is note for what may be the user's own: a file in the place of a
// directory of jobs is none of a cleanup's business, storage that fails is.
func (w *Workspace) noteStorage(path string, err error) {
	if number := unix.Errno(0); errors.As(err, &number) {
		w.note(path, err)
	}
}

// record writes down what is left, with what earlier cleanups wrote down and is still
// there. Where that cannot be written, the operator's log has it all the same.
func (w *Workspace) record() {
	earlier, err := w.Leftovers()
	all := append(slices.Clone(w.left), slices.DeleteFunc(earlier, func(l ipc.Leftover) bool {
		return slices.ContainsFunc(w.left, func(now ipc.Leftover) bool { return now.Path == l.Path })
	})...)
	if len(all) == 0 {
		if err == nil {
			_ = w.base.Remove(leftoversFile, time.Now().Add(time.Second))
		}
		return
	}
	if text, err := json.MarshalIndent(all[:min(len(all), maxLeftovers)], "", "  "); err == nil {
		_ = w.base.Write(leftoversFile, text)
	}
}

// Left is what this stage could not remove.
func (w *Workspace) Left() []ipc.Leftover { return w.left }

// Leftovers are what earlier cleanups could not remove and what is still there. The
// error is unix.ENOENT when there never was anything.
func (w *Workspace) Leftovers() (all []ipc.Leftover, err error) {
	text, err := w.base.Read(leftoversFile, leftoversLimit)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, nil // a broken record is written again
	}
	return slices.DeleteFunc(all, func(l ipc.Leftover) bool {
		_, err := os.Lstat(l.Path)
		return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
	}), nil
}
