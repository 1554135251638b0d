package workspace

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// sweep clears away earlier jobs of the account that are over and whose own
// cleanup never came.
func (w *Workspace) sweep(until time.Time) {
	scripts, err := w.base.Open("scripts")
	if err != nil {
		w.note(w.base.Path().String()+"/scripts", err)
		return
	}
	defer scripts.Close()
	runners, err := scripts.Names()
	w.note(scripts.Path().String(), err)
	for _, runner := range slices.DeleteFunc(runners, func(n string) bool { return n == trashDir }) {
		w.sweepRunner(scripts, runner, until)
	}
}

func (w *Workspace) sweepRunner(scripts *safedir.Folder, runner string, until time.Time) {
	dir, err := scripts.Open(runner)
	if err != nil {
		w.noteStorage(scripts.Path().String()+"/"+runner, err)
		return
	}
	defer dir.Close()
	names, err := dir.Names()
	w.note(dir.Path().String(), err)
	for _, name := range names {
		id, err := job.ParseID(name)
		if err != nil || time.Now().After(until) {
			continue
		}
		w.note(dir.Path().String()+"/"+name, w.end(runner, id, until, false))
	}
}

// removeScripts takes away a job's scripts directory, all at once; with
// retain_logs only the lease, if the executor left something there.
func (w *Workspace) removeScripts(runner, id string, until time.Time) error {
	all, err := w.base.Open("scripts")
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer all.Close()
	parent, err := all.Open(runner)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	if w.brief.Settings.RetainLogs && w.keepLogs(parent, id, until) {
		return nil
	}
	if err := w.discard(all, parent, id); err != nil {
		return err
	}
	return w.emptyTrash(all, id, until)
}

// keepLogs takes away what is no log, and reports whether something is left.
func (w *Workspace) keepLogs(parent *safedir.Folder, id string, until time.Time) bool {
	scripts, err := parent.Open(id)
	if err != nil {
		return false
	}
	defer scripts.Close()
	for _, name := range []string{leaseFile, leaseFile + ".new"} {
		w.note(scripts.Path().String()+"/"+name, scripts.Remove(name, until))
	}
	names, err := scripts.Names()
	return err == nil && len(names) > 0
}

// removeUnleased takes away the scripts directory of a job that died before it
// had a lease. One with anything in it has logs that were retained.
func (w *Workspace) removeUnleased(runner, id string, until time.Time) error {
	parent, err := w.base.Open("scripts", runner)
	if err != nil {
		return err
	}
	defer parent.Close()
	if scripts, err := parent.Open(id); err == nil {
		w.note(scripts.Path().String(), scripts.Remove(leaseFile+".new", until))
		scripts.Close()
	}
	_ = parent.RemoveEmpty(id) // it stays as long as it has logs
	return nil
}

// trim moves build directories beyond max_build_dir to the trash: the highest
// that no job has, one at a time unless the site wants all at once.
func (w *Workspace) trim(p *pool, root *safedir.Folder, claims []reservation) {
	s := w.brief.Settings.Storage
	if !s.LimitBuildDir || s.MaxBuildDir == 0 {
		return
	}
	names, _ := p.dir.Names()
	most := 1
	if s.UncapCleanup {
		most = len(names)
	}
	for _, n := range beyond(names, claims, s.MaxBuildDir, most) {
		if p.attended(n) {
			continue
		}
		err := w.discard(root, p.dir, slotName(n))
		if err == nil {
			p.log.note(p.dir, n, "trimmed")
		}
		w.note(p.dir.Path().String()+"/"+slotName(n), err)
	}
}

// beyond picks the slots to take away, the highest first.
func beyond(names []string, claims []reservation, keep, most int) (slots []int) {
	for _, name := range names {
		n, err := strconv.Atoi(name)
		if err != nil || slotName(n) != name || n < keep || (n < len(claims) && !claims[n].free()) {
			continue
		}
		slots = append(slots, n)
	}
	slices.Sort(slots)
	slices.Reverse(slots)
	return slots[:min(most, len(slots))]
}
