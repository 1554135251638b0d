package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// leftoversFile in the base directory lists what cleanups could not remove, for the
// logs of later jobs: the log of a cleanup stage is not shown to the user.
const leftoversFile = "leftovers"

const (
	maxLeftovers    = 20
	leftoversLimit  = 64 << 10 // bytes
	leftoverReasons = 600      // bytes of one reason
	// leftoversTime is how long another cleanup may write the list; then both may.
	leftoversTime = time.Second
)

// leftover is an entry of the list.
type leftover struct {
	ipc.Leftover
	// Remains is set for an entry that the next cleanup does not keep, such as one of a
	// directory of all jobs that could not be read, and that remains.
	Remains bool `json:"remains,omitempty"`
	// Repaired is set for what a stage has put right: the entry is for the log of the next job
	// alone, so that Remains is set too.
	Repaired bool `json:"repaired,omitempty"`
}

// noteLeftover adds the reason why path was not removed. It skips what only ran into
// the deadline: the next cleanup removes that.
func (w *Workspace) noteLeftover(path string, err error) {
	if err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, safedir.ErrDeadline) || len(w.unremoved) == maxLeftovers {
		return
	}
	w.unremoved = append(w.unremoved, leftover{Leftover: ipc.Leftover{Path: path, Reason: job.Cut(err.Error(), leftoverReasons)}})
}

// noteUnusable is noteLeftover for a directory or a list that remains: it exists also when
// a later cleanup can use it again.
func (w *Workspace) noteUnusable(path string, err error) {
	before := len(w.unremoved)
	w.noteLeftover(path, err)
	if len(w.unremoved) > before {
		w.unremoved[before].Remains = true
	}
}

// noteStorageError is noteUnusable for a path that may be the user's own: it reports
// failing storage, but not a file of the user's where a directory of jobs could be.
func (w *Workspace) noteStorageError(path string, err error) {
	if number := unix.Errno(0); errors.As(err, &number) {
		w.noteUnusable(path, err)
	}
}

// writeLeftovers writes the list of leftovers, with those of earlier cleanups that
// still exist: of what remains, only what this stage found unusable. If that fails, the
// operator's log still contains this stage's.
func (w *Workspace) writeLeftovers() {
	defer w.base.Lock(time.Now().Add(leftoversTime))() // two cleanups at once keep the entries of both
	earlier, err := w.readLeftovers()
	all := append(slices.Concat(w.unremoved, w.repaired), slices.DeleteFunc(earlier, func(l leftover) bool {
		return l.Remains || slices.ContainsFunc(w.unremoved, func(now leftover) bool { return now.Path == l.Path })
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

// Unremoved lists what this stage could not remove.
func (w *Workspace) Unremoved() []ipc.Leftover { return reported(w.unremoved) }

func reported(left []leftover) (all []ipc.Leftover) {
	for _, l := range left {
		all = append(all, l.Leftover)
	}
	return all
}

// EarlierLeftovers lists what earlier cleanups could not remove and still exists. The
// error is unix.ENOENT when there is no list.
func (w *Workspace) EarlierLeftovers() ([]ipc.Leftover, error) {
	all, err := w.readLeftovers()
	return reported(slices.DeleteFunc(all, func(l leftover) bool { return l.Repaired })), err
}

// Repaired describes what this stage and the last cleanup have put right: first what is of this
// job's own directories.
func (w *Workspace) Repaired() (lines []string) {
	earlier, _ := w.readLeftovers()
	for _, l := range slices.Concat(w.repaired, earlier) {
		if l.Repaired {
			lines = append(lines, l.Reason)
		}
	}
	return lines
}

// noteRepaired adds what this stage has put right.
func (w *Workspace) noteRepaired(path, format string, args ...any) {
	if len(w.repaired) < maxLeftovers {
		reason := job.Cut(fmt.Sprintf(format, args...), leftoverReasons)
		w.repaired = append(w.repaired, leftover{Leftover: ipc.Leftover{Path: path, Reason: reason}, Remains: true, Repaired: true})
	}
}

func (w *Workspace) noteRestored(path string, was uint32) {
	w.noteRepaired(path, "restored the mode of %s, which was %04o: what is for jobs is private", path, was)
}

func (w *Workspace) readLeftovers() (all []leftover, err error) {
	text, err := w.base.Read(leftoversFile, leftoversLimit)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, nil // writeLeftovers replaces a corrupt list
	}
	return slices.DeleteFunc(all, func(l leftover) bool {
		_, err := os.Lstat(l.Path)
		return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
	}), nil
}
