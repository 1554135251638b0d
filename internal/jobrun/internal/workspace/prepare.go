package workspace

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// Prepare makes sure that the build directory is still the job's, and notes where
// the runner will keep its secrets.
func (w *Workspace) Prepare() error {
	scripts, err := w.base.Open(w.scriptsName()...)
	if errors.Is(err, unix.ENOENT) {
		return w.lost()
	}
	if err != nil {
		return err
	}
	defer scripts.Close()
	l, err := readLease(scripts)
	if errors.Is(err, unix.ENOENT) {
		return w.lost()
	}
	if err != nil {
		return err
	}
	return w.renew(l, scripts)
}

// renew writes the lease and the claim again with what is known now. The owner of
// a claim is who called the driver in the config stage. If that process is gone
// already it was a wrapper of the site's, and not the runner: then no process
// stands for the job, and only time ends its claim.
func (w *Workspace) renew(l jobRecord, scripts *safedir.Folder) error {
	if w.here.gone(l.Place, l.Owner) {
		l.Owner.PID = 0
	}
	l.Temp = tempBelow(w.brief.Job.Temp, w.brief.Dirs.Builds)
	root, err := w.root(l)
	if errors.Is(err, unix.ENOENT) {
		return w.lost()
	}
	if err != nil {
		return err
	}
	defer root.Close()
	if !l.Static {
		if err := w.confirm(l, root); err != nil {
			return err
		}
	}
	builds, err := root.Open(l.path()...)
	if errors.Is(err, unix.ENOENT) {
		return w.lost()
	}
	if err != nil {
		return err
	}
	defer builds.Close()
	if err := l.write(scripts); err != nil {
		return err
	}
	if l.Temp == "" {
		return nil
	}
	// The runner's scripts write secrets there with the umask of the job, and would
	// make it with that too.
	err = builds.Private(strings.Split(l.Temp, "/")...)
	if errors.Is(err, safedir.ErrNotDirectory) {
		return nil // a job put a link on the way: its user decides where that leads
	}
	return err
}

// confirm writes the lease's claim again, if the slot is still the job's.
func (w *Workspace) confirm(l jobRecord, root *safedir.Folder) (err error) {
	dir, err := root.Open(l.Pool)
	if errors.Is(err, unix.ENOENT) {
		return w.lost()
	}
	if err != nil {
		return err
	}
	p, err := lock(dir, w.journal())
	if err != nil {
		return err
	}
	defer p.closing(&err)
	c, err := p.claim(l.Slot)
	if err == nil && !c.of(w.brief.Job) {
		err = failure.Systemf("cannot use %s: another job of yours has it now", w.brief.Dirs.Builds).WithHint("retry the job")
	}
	if err != nil {
		return err
	}
	return p.put(l.Slot, l.reservation, "confirmed")
}

func (w *Workspace) lost() error {
	return failure.Systemf("cannot find the job's build directory %s", w.brief.Dirs.Builds).
		WithHint("it was there in the config stage: did something remove it?")
}

// projectName is the last part of a project's path, fit for a directory.
func projectName(project string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-", r) {
			return r
		}
		return '-'
	}, path.Base(project))
	return strings.TrimLeft(name[:min(len(name), projectLength)], ".-")
}

// projectLength in bytes leaves room for the project's number within NAME_MAX.
const projectLength = 100
