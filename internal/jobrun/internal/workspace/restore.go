package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
)

// Restore creates the job's build directory, and the runner's directory of secrets in it,
// where a script has removed them or their file system is away: the runner's script would
// create them with the job's umask, and others could read its secrets. It returns why a
// script that then fails has failed, nil where the build directory was there.
func Restore(r ipc.Request) (missing error) {
	below := tempBelow(r.Job.Temp, r.Dirs.Builds) != ""
	if below && !isMissing(r.Job.Temp) {
		return nil // what it is in is there too: one call on the file system for both
	}
	gone := isMissing(r.Dirs.Builds)
	if !gone && !below {
		return nil
	}
	if w, err := Open(Options{Request: r}); err == nil {
		_ = w.remake() // where this fails, the script cannot create them either
		w.Close()
	}
	if gone {
		return directoryMissing(r)
	}
	return nil
}

func isMissing(p job.AbsPath) bool {
	_, err := os.Lstat(p.String())
	return !p.IsZero() && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR))
}

func (w *Workspace) remake() error {
	root, _, err := w.buildsRoot()
	if err != nil {
		return err
	}
	defer root.Close()
	path, below := strings.CutPrefix(w.request.Dirs.Builds.String(), root.Path().String()+"/")
	if !below {
		return unix.ENOENT
	}
	builds, err := root.Make(strings.Split(path, "/")...)
	if err != nil {
		return err
	}
	defer builds.Close()
	if temp := tempBelow(w.request.Job.Temp, w.request.Dirs.Builds); temp != "" {
		return builds.Private(strings.Split(temp, "/")...)
	}
	return nil
}

// restoredSlot is the slot of the job's build directory where no job has reserved it, as
// after Restore.
func (w *Workspace) restoredSlot(all []reservation) (slot int, ok bool) {
	slot, ok = slotOf(filepath.Base(w.request.Dirs.Builds.String()))
	return slot, ok && slot < maxSlots && (slot >= len(all) || all[slot].free())
}
