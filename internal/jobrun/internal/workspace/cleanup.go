package workspace

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
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
	err := w.removeJob(w.request.Job.Runner, w.request.Job.ID, time.Now().Add(ownCleanupTime), true)
	if len(w.unremoved) == 0 {
		w.noteLeftover(w.request.Dirs.Scripts.String(), err)
	}
	until := time.Now().Add(otherCleanupTime)
	w.removeEndedJobs(until)
	root, rerr := w.existingRoot()
	if rerr == nil {
		w.sweepStatic(root, Sweep{Builds: time.Duration(w.request.Settings.StaticBuildsDays) * day}, time.Now())
		w.Sweep(root, w.siteSweep(), time.Now(), until)
		rerr = w.emptyTrash(root, "", until)
		root.Close()
	}
	w.noteLeftover(w.base.Path().String(), rerr)
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

// removeJob removes the files of a job: this one (own), or an earlier one that has
// ended and whose own cleanup did not run. It releases the reservation last: if this
// process dies before that, the next cleanup can find the rest.
func (w *Workspace) removeJob(runner string, id job.ID, until time.Time, own bool) error {
	if m := w.measured; own && m != nil && m.rec.Runner == runner && m.rec.Job == id {
		return w.removeRecorded(m.rec, m.root, m.scripts, until, own)
	}
	scripts, err := w.base.Open("scripts", runner, id.String())
	if errors.Is(err, unix.ENOENT) && own {
		return w.continueCleanup(until)
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer scripts.Close()
	if !own && w.hasOrphans(scripts.Path()) {
		return nil
	}
	rec, err := readJobRecord(scripts)
	if errors.Is(err, unix.ENOENT) && !own {
		return w.removeUnrecorded(runner, id.String(), until)
	}
	if err != nil || rec.Runner != runner || rec.Job != id {
		return errors.Join(err, w.removeScripts(runner, id.String(), until))
	}
	root, err := w.rootOf(rec)
	if errors.Is(err, unix.ENOENT) {
		return w.removeScripts(runner, id.String(), until)
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return w.removeRecorded(rec, root, scripts, until, own)
}

func (w *Workspace) removeRecorded(rec jobRecord, root, scripts *safedir.Dir, until time.Time, own bool) error {
	if rec.Static {
		return w.removeStaticJob(rec, root, scripts, until, own)
	}
	return w.removeSlotJob(rec, root, until, own)
}

// continueCleanup does the rest of this job's cleanup, which was killed after it had moved
// the scripts directory to the trash.
func (w *Workspace) continueCleanup(until time.Time) (err error) {
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
	p, err := w.lockPoolOf(jobRecord{Pool: poolName(w.request)}, root)
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
			err = errors.Join(err, p.write(n, reservation{}, "released, its cleanup was killed"))
		}
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
		return notReserved, nil
	}
	if err != nil {
		return inUse, err
	}
	defer p.closeInto(&err)
	r, err := p.reservation(rec.Slot)
	switch {
	case err != nil:
		return inUse, err
	case r.Runner != rec.Runner || r.Job != rec.Job:
		return notReserved, nil
	case !own && !w.available(p, rec.Slot, r):
		return inUse, nil
	}
	r.Owner, r.Host = w.self, w.host
	return owned, p.write(rec.Slot, r, "cleanup started")
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
	w.live = w.liveJobs(all)
	w.releaseDead(p, all)
	w.trimPool(p, root, all)
	return err
}

// liveJobs returns the jobs whose reservation has not expired, so that a cleanup need not
// examine the files of each.
func (w *Workspace) liveJobs(all []reservation) map[string]bool {
	live := map[string]bool{}
	for _, r := range all {
		if !r.free() && !r.expired(w.host, time.Now()) {
			live[r.Runner+"/"+r.Job.String()] = true
		}
	}
	return live
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
			w.noteLeftover(p.file.Name(), err)
		default:
			w.noteLeftover(w.base.Path().String()+"/scripts/"+r.Runner+"/"+r.Job.String(), err)
		}
	}
}

func (w *Workspace) removeStaticJob(rec jobRecord, root, scripts *safedir.Dir, until time.Time, own bool) error {
	if !own && !w.holderEnded(rec.reservation) {
		return nil
	}
	rec.Owner, rec.Host = w.self, w.host
	err := rec.write(scripts)
	if dir, oerr := root.Open(staticDir, rec.Runner); oerr == nil {
		err = errors.Join(err, writeEndTime(dir, rec.Job, time.Now()))
		dir.Close()
	}
	return errors.Join(err, w.removeSecrets(rec, root, until), w.removeScripts(rec.Runner, rec.Job.String(), until))
}

// trashDir contains directories that are being removed. A directory that is moved there
// no longer exists for jobs, however long its removal takes: a partly removed build
// directory would break the next job's git.
const trashDir = ".trash"

// discard moves an entry to the trash. It is no error if the entry does not exist.
func (w *Workspace) discard(root, from *safedir.Dir, name string) error {
	trash, err := root.Make(trashDir)
	if err != nil {
		return err
	}
	defer trash.Close()
	return moveToTrash(trash, from, name)
}

func moveToTrash(trash, from *safedir.Dir, name string) error {
	err := from.Move(name, trash, fmt.Sprintf("%s-%d-%d", name, os.Getpid(), time.Now().UnixNano()))
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// emptyTrash empties the trash of a directory, if it has one.
func (w *Workspace) emptyTrash(root *safedir.Dir, own string, until time.Time) error {
	trash, err := root.Open(trashDir)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer trash.Close()
	return w.removeTrash(trash, own, until)
}

// removeTrash removes entries until the deadline; the next cleanup continues. It notes
// what it cannot remove, and returns an error only for entries that were named own.
func (w *Workspace) removeTrash(trash *safedir.Dir, own string, until time.Time) error {
	names, err := trash.Names()
	for _, name := range names {
		rerr := trash.Remove(name, until)
		if errors.Is(rerr, safedir.ErrDeadline) {
			w.noteOldTrash(trash, names, until)
			break
		}
		w.noteLeftover(trash.Path().String()+"/"+name, rerr)
		if own != "" && strings.HasPrefix(name, own+"-") {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

// trashNoticeTime is how long an entry may stay in the trash before it is reported: a
// large directory takes several cleanups.
const trashNoticeTime = 24 * time.Hour

// noteOldTrash notes the oldest entry if it has been there for too long.
func (w *Workspace) noteOldTrash(trash *safedir.Dir, names []string, now time.Time) {
	oldest := slices.MinFunc(names, func(a, b string) int { return discardTime(a).Compare(discardTime(b)) })
	if since := discardTime(oldest); now.Sub(since) > trashNoticeTime {
		path := trash.Path().String() + "/" + oldest
		w.noteLeftover(path, fmt.Errorf("cannot remove %s within the time limit of a cleanup: it has been there since %s", path, since.UTC().Format(time.DateOnly)))
	}
}

// discardTime is when an entry was moved to the trash, according to its name.
func discardTime(name string) time.Time {
	nanoseconds, err := strconv.ParseInt(name[strings.LastIndexByte(name, '-')+1:], 10, 64)
	if err != nil {
		return time.Unix(0, 0)
	}
	return time.Unix(0, nanoseconds)
}
