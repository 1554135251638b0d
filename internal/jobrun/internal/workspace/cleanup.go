package workspace

import (
	"errors"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// Limits on a cleanup: the runner and GitLab wait for its end.
const (
	// ownCleanupTime bounds the removal of the job's own files: few, unless storage is
	// slow.
	ownCleanupTime = time.Minute
	// otherCleanupTime bounds the removal of the files of earlier jobs and of excess or
	// expired directories. The next cleanup continues.
	otherCleanupTime = 20 * time.Second
)

// Cleanup releases the job's build directory and removes its scripts and secrets, and
// within the time limit those of earlier jobs that have ended.
func (w *Workspace) Cleanup() error {
	err := w.removeOwn(time.Now().Add(ownCleanupTime))
	if len(w.unremoved) == 0 {
		w.noteLeftover(w.request.Dirs.Scripts.String(), err)
	}
	until := time.Now().Add(otherCleanupTime)
	w.removeEndedJobs(until)
	root, rerr := w.existingRoot()
	if rerr == nil {
		w.sweepForSite(root, until)
		rerr = w.emptyTrash(root, "", until)
		root.Close()
	}
	w.noteUnusable(w.base.Path().String(), rerr)
	w.writeLeftovers()
	return err
}

// existingRoot opens this job's root of builds. The error is unix.ENOENT when it does
// not exist.
func (w *Workspace) existingRoot() (*safedir.Dir, error) {
	custom, err := customBuildsPath(w.request)
	if err != nil {
		return nil, unix.ENOENT // the config stage failed too
	}
	if m := w.measured; m != nil && m.rec.Custom == custom {
		return m.root.Open()
	}
	return w.rootOf(jobRecord{Custom: custom})
}

// removeEndedJobs removes the files of earlier jobs of the account that have ended and
// whose own cleanup did not run.
func (w *Workspace) removeEndedJobs(until time.Time) {
	_ = w.eachRunner(func(all, dir *safedir.Dir, names []string) {
		runner := path.Base(dir.Path().String())
		for _, name := range names {
			id, err := job.ParseID(name)
			if err == nil && !w.live[runner+"/"+name] && !time.Now().After(until) {
				w.noteLeftover(dir.PathOf(name), w.removeEnded(dir, runner, id, until))
			}
		}
		if len(names) == 0 {
			w.removeEmptyRunner(all, runner)
		}
	})
}

// removeEmptyRunner removes the directory of a runner that has no job here any more: each
// registration at GitLab has another name. A job that uses it again makes it again.
func (w *Workspace) removeEmptyRunner(all *safedir.Dir, runner string) {
	if runner != w.request.Job.Runner && time.Since(all.ModTime(runner)) > emptyRunnerTime {
		_ = all.RemoveEmpty(runner)
	}
}

// emptyRunnerTime keeps two runners from removing each other's directory after every job.
const emptyRunnerTime = day

// removeOwn removes the files of this job.
func (w *Workspace) removeOwn(until time.Time) error {
	j := w.request.Job
	if m := w.measured; m != nil && m.rec.belongsTo(j) {
		return w.removeIn(m.root, m.rec, m.scripts, until, true)
	}
	scripts, err := w.base.Open(w.scriptsName()...)
	if errors.Is(err, unix.ENOENT) {
		return w.removeWithoutRecord(until)
	}
	if err != nil {
		return err
	}
	defer scripts.Close()
	rec, err := readJobRecord(scripts)
	if err != nil || !rec.belongsTo(j) {
		if !diskspace.IsStorageError(err) {
			err = nil // a script has removed or replaced it; what it listed is found without it
		}
		return errors.Join(err, w.removeScripts(j.Runner, j.ID.String(), until), w.removeWithoutRecord(until))
	}
	return w.removeRecorded(rec, scripts, until, true)
}

// removeEnded removes the files of an earlier job of a runner if it has ended and its own
// cleanup did not run. dir contains its scripts directory.
func (w *Workspace) removeEnded(dir *safedir.Dir, runner string, id job.ID, until time.Time) error {
	if dir.Lacks(id.String(), jobRecordFile) && dir.Lacks(id.String(), jobRecordFile+".new") {
		_ = dir.RemoveEmpty(id.String()) // fails where it is one of thousands with retained logs
		return nil
	}
	scripts, err := dir.Open(id.String())
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer scripts.Close()
	rec, err := readJobRecord(scripts)
	switch {
	case errors.Is(err, unix.ENOENT):
		w.removeUnrecorded(dir, scripts, id, until)
		return nil
	case w.hasOrphans(scripts.Path()):
		return nil
	case err != nil && !errors.Is(err, errCorrupt): // the job may be alive
		return err
	case err != nil || rec.Runner != runner || rec.Job != id:
		return errors.Join(err, w.removeScripts(runner, id.String(), until))
	}
	return w.removeRecorded(rec, scripts, until, false)
}

// removeRecorded removes the files of a job: this one (own), or an earlier one.
func (w *Workspace) removeRecorded(rec jobRecord, scripts *safedir.Dir, until time.Time, own bool) error {
	root, err := w.rootOf(rec)
	switch {
	case errors.Is(err, unix.ENOENT) && w.unreserved(rec, own) == notReserved:
		return w.removeScripts(rec.Runner, rec.Job.String(), until)
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return err
	}
	defer root.Close()
	return w.removeIn(root, rec, scripts, until, own)
}

// removeIn releases the reservation last: if this process dies before that, the next
// cleanup can find the rest.
func (w *Workspace) removeIn(root *safedir.Dir, rec jobRecord, scripts *safedir.Dir, until time.Time, own bool) error {
	if rec.Static {
		return w.removeStaticJob(rec, root, scripts, until, own)
	}
	return w.removeSlotJob(rec, root, until, own)
}

// removeScripts removes a job's scripts directory as a whole; with retain_logs it
// removes only the job's record, if the executor left logs there.
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
	if w.request.Settings.RetainLogs && w.keepLogs(parent, id, until) {
		return nil
	}
	trash, err := all.Make(trashDir)
	if err != nil {
		return err
	}
	defer trash.Close()
	if err := moveToTrash(trash, parent, id); err != nil {
		return err
	}
	return w.removeTrash(trash, id, until)
}

// keepLogs removes the job's record and what its shells share, and reports whether logs
// are left.
func (w *Workspace) keepLogs(parent *safedir.Dir, id string, until time.Time) bool {
	scripts, err := parent.Open(id)
	if err != nil {
		return false
	}
	defer scripts.Close()
	w.noteLeftover(scripts.PathOf(jobRecordFile), scripts.RemoveTemporary(jobRecordFile, until))
	for _, name := range []string{jobRecordFile, loginshell.SavedFile, loginshell.WarnedFile} {
		w.noteLeftover(scripts.PathOf(name), scripts.Remove(name, until))
	}
	names, err := scripts.Names()
	return err == nil && len(names) > 0
}

// removeUnrecorded removes the scripts directory of a job that died before it wrote
// its record. A directory that is not empty contains retained logs.
func (w *Workspace) removeUnrecorded(dir, scripts *safedir.Dir, id job.ID, until time.Time) {
	w.noteLeftover(scripts.Path().String(), scripts.RemoveTemporary(jobRecordFile, until))
	_ = dir.RemoveEmpty(id.String()) // fails if it contains logs
}

// removeWithoutRecord does what is left to do without this job's record: its secrets, and
// its reservation. Its cleanup was killed after it had moved the scripts directory to the
// trash, or the job has removed its own files.
func (w *Workspace) removeWithoutRecord(until time.Time) (err error) {
	scripts, err := w.base.Open("scripts")
	if err == nil {
		err = w.emptyTrash(scripts, w.request.Job.ID.String(), until)
		scripts.Close()
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	root, err := w.existingRoot()
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	rec := jobRecord{
		reservation: reservation{Runner: w.request.Job.Runner, Job: w.request.Job.ID}, Static: w.request.Settings.StaticBuildsDir,
		Pool: poolName(w.request), Temp: tempBelow(w.request.Job.Temp, w.request.Dirs.Builds),
	}
	if rec.Static {
		return w.removeSecrets(rec, root, until)
	}
	p, err := w.lockPoolOf(rec, root)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.closeInto(&err)
	all, err := p.reservations()
	for n, r := range all {
		if r.belongsTo(w.request.Job) {
			rec.Slot = n
			err = errors.Join(err, w.removeSecrets(rec, root, until), p.write(n, reservation{}, "released, without its record"))
		}
	}
	if slot, restored := w.restoredSlot(all); restored {
		rec.Slot = slot
		err = errors.Join(err, w.removeSecrets(rec, root, until))
	}
	return err
}

func (w *Workspace) removeSlotJob(rec jobRecord, root *safedir.Dir, until time.Time, own bool) error {
	held, err := w.takeOver(rec, root, own)
	if err != nil || held == inUse {
		return err
	}
	if held == owned {
		err = w.removeSecrets(rec, root, until)
	}
	err = errors.Join(err, w.removeScripts(rec.Runner, rec.Job.String(), until))
	if held == owned {
		err = errors.Join(err, w.release(rec, root))
	}
	return err
}

// reservationState is the state of the reservation that a job's record names.
type reservationState int

const (
	notReserved reservationState = iota // the slot is free or another job's
	inUse                               // the job may still be running
	owned                               // the job has ended and this process removes it
)

// takeOver makes this process the owner of a reservation, so that the reservation ends
// if this process is killed.
func (w *Workspace) takeOver(rec jobRecord, root *safedir.Dir, own bool) (held reservationState, err error) {
	p, err := w.lockPoolOf(rec, root)
	if errors.Is(err, unix.ENOENT) {
		return w.unreserved(rec, own), nil
	}
	if err != nil {
		return inUse, err
	}
	defer p.closeInto(&err)
	r, err := p.reservation(rec.Slot)
	switch {
	case err != nil:
		return inUse, err
	case r.free() && (own || w.available(p, rec.Slot, rec.reservation)):
		r = rec.reservation // the job has removed it, and may have used the directory since: see Restore
	case r.Runner != rec.Runner || r.Job != rec.Job:
		return w.unreserved(rec, own), nil
	case !own && !w.available(p, rec.Slot, r):
		all, err := p.reservations()
		w.noteLive(all)
		return inUse, err
	}
	r.Owner, r.Host = w.self, w.host
	return owned, p.write(rec.Slot, r, "cleanup started")
}

// unreserved is the state of a job whose record names a reservation that is not there. The
// job of a live owner may still be running: the list of reservations is damaged, or the
// file system of the build directories is away.
func (w *Workspace) unreserved(rec jobRecord, own bool) reservationState {
	if own || w.holderEnded(rec.reservation) {
		return notReserved
	}
	return inUse
}

// release releases a slot, and removes excess build directories.
func (w *Workspace) release(rec jobRecord, root *safedir.Dir) (err error) {
	p, err := w.lockPoolOf(rec, root)
	if err != nil {
		return err
	}
	defer p.closeInto(&err)
	r, err := p.reservation(rec.Slot)
	if err == nil && r.Runner == rec.Runner && r.Job == rec.Job {
		err = p.write(rec.Slot, reservation{}, "released")
		_ = p.dir.Touch(slotName(rec.Slot)) // for its age; without it, it is removed earlier
	}
	all, rerr := p.reservations()
	if rerr != nil {
		return errors.Join(err, rerr)
	}
	w.noteLive(all)
	w.releaseDead(p, all)
	w.trimPool(p, root, all)
	return err
}

// noteLive notes the jobs of a pool whose reservation has not expired, so that a cleanup
// need not examine the files of each.
func (w *Workspace) noteLive(all []reservation) {
	for _, r := range all {
		if !r.free() && !r.expired(w.owners, time.Now()) {
			w.live[r.Runner+"/"+r.Job.String()] = true
		}
	}
}

// releaseDead releases the reservations of dead jobs without a scripts directory:
// their cleanup was killed just before its end.
func (w *Workspace) releaseDead(p *pool, all []reservation) {
	for n, r := range all {
		if r.free() || !w.available(p, n, r) {
			continue
		}
		scripts, err := w.base.Open("scripts", r.Runner, r.Job.String())
		switch {
		case err == nil:
			scripts.Close()
		case errors.Is(err, unix.ENOENT):
			if err = p.write(n, reservation{}, "released, its job is dead"); err == nil {
				all[n] = reservation{}
			}
			w.noteUnusable(p.file.Name(), err)
		default:
			w.noteLeftover(w.base.PathOf("scripts/"+r.Runner+"/"+r.Job.String()), err)
		}
	}
}
