package workspace

import (
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// removeEndedJobs removes the files of earlier jobs of the account that have ended and
// whose own cleanup did not run.
func (w *Workspace) removeEndedJobs(until time.Time) {
	_ = w.eachScripts(func(_, dir *safedir.Dir, name string) {
		runner := path.Base(dir.Path().String())
		id, err := job.ParseID(name)
		if err == nil && !w.live[runner+"/"+name] && !time.Now().After(until) {
			w.noteLeftover(dir.Path().String()+"/"+name, w.removeJob(runner, id, until, false))
		}
	})
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
	for _, name := range []string{jobRecordFile, jobRecordFile + ".new", loginshell.SavedFile, loginshell.WarnedFile} {
		w.noteLeftover(scripts.Path().String()+"/"+name, scripts.Remove(name, until))
	}
	names, err := scripts.Names()
	return err == nil && len(names) > 0
}

// removeUnrecorded removes the scripts directory of a job that died before it wrote
// its record. A directory that is not empty contains retained logs.
func (w *Workspace) removeUnrecorded(runner, id string, until time.Time) error {
	parent, err := w.base.Open("scripts", runner)
	if err != nil {
		return err
	}
	defer parent.Close()
	if scripts, err := parent.Open(id); err == nil {
		w.noteLeftover(scripts.Path().String(), scripts.Remove(jobRecordFile+".new", until))
		scripts.Close()
	}
	_ = parent.RemoveEmpty(id) // fails if it contains logs
	return nil
}

// trimPool moves build directories in excess of max_build_dir to the trash: the highest
// free slot, or all of them with uncap_build_dir_cleanup.
func (w *Workspace) trimPool(p *pool, root *safedir.Dir, all []reservation) {
	s := w.request.Settings
	if !s.LimitBuildDir || s.MaxBuildDir == 0 {
		return
	}
	names, _ := p.dir.Names()
	most := 1
	if s.UncapBuildDirCleanup {
		most = len(names)
	}
	for _, n := range excessSlots(names, all, s.MaxBuildDir, most) {
		if p.stageRunning(n) {
			continue
		}
		err := w.discard(root, p.dir, slotName(n))
		if err == nil {
			p.log.add(p.dir, n, "removed, over the limit")
		}
		w.noteLeftover(p.dir.Path().String()+"/"+slotName(n), err)
	}
}

// excessSlots returns at most most free slots that are not among the lowest keep, in
// descending order.
func excessSlots(names []string, all []reservation, keep, most int) (slots []int) {
	for _, name := range names {
		if n, ok := slotOf(name); ok && n >= keep && (n >= len(all) || all[n].free()) {
			slots = append(slots, n)
		}
	}
	slices.Sort(slots)
	slices.Reverse(slots)
	return slots[:min(most, len(slots))]
}

// staticDir contains one build directory for each job (static_builds_dir).
const staticDir = "static"

// endsSuffix is the suffix of the file next to a job's build directory whose time is
// the end of the job; while the job runs, its latest possible end. The user can extend
// the life of the directory with touch(1).
const endsSuffix = ".ends"

func (w *Workspace) makeStaticBuilds(rec jobRecord, root, scripts *safedir.Dir) (*safedir.Dir, error) {
	dir, err := root.Make(staticDir, rec.Runner)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if err := writeEndTime(dir, rec.Job, rec.Until); err != nil {
		return nil, err
	}
	builds, err := dir.Make(rec.Job.String())
	if err != nil {
		return nil, err
	}
	if err := rec.write(scripts); err != nil {
		builds.Close()
		return nil, err
	}
	return builds, nil
}

// writeEndTime sets the time of a job's end file. Where the file system does not allow
// users to set times, the file contains the time as text.
func writeEndTime(dir *safedir.Dir, id job.ID, at time.Time) error {
	name := id.String() + endsSuffix
	file, err := dir.File(name, unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return err
	}
	defer file.Close()
	stamp := unix.NsecToTimeval(at.UnixNano())
	err = unix.Futimes(int(file.Fd()), []unix.Timeval{stamp, stamp})
	if slices.ContainsFunc([]error{unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM, unix.EINVAL}, func(u error) bool { return errors.Is(err, u) }) {
		return dir.Write(name, []byte(at.UTC().Format(time.RFC3339)))
	}
	if err != nil {
		return diskspace.Explain("cannot set the time of "+file.Name(), file.Name(), err)
	}
	return nil
}

// sweepStatic removes the directories of jobs that ended long ago (static_builds_days).
func (w *Workspace) sweepStatic(root *safedir.Dir, s Sweep, now time.Time) {
	all, err := root.Open(staticDir)
	if err != nil {
		w.noteLeftover(root.Path().String()+"/"+staticDir, err)
		return
	}
	defer all.Close()
	runners, err := all.Names()
	w.noteLeftover(all.Path().String(), err)
	for _, runner := range runners {
		dir, err := all.Open(runner)
		if err == nil {
			w.sweepStaticOf(root, dir, s, now)
			dir.Close()
		}
		w.noteStorageError(all.Path().String()+"/"+runner, err)
	}
}

func (w *Workspace) sweepStaticOf(root, dir *safedir.Dir, s Sweep, now time.Time) {
	names, err := dir.Names()
	w.noteLeftover(dir.Path().String(), err)
	for _, name := range names {
		plain := strings.TrimSuffix(name, endsSuffix)
		id, err := job.ParseID(plain)
		if err != nil || plain != name && slices.Contains(names, plain) {
			continue
		}
		ended, known := readEndTime(dir, id)
		if !known || ended.Add(s.Builds).After(now) || !s.matches(dir, plain) || !s.remove(dir.Path().String()+"/"+plain) {
			continue
		}
		err = w.discard(root, dir, id.String())
		if err == nil {
			err = dir.Remove(id.String()+endsSuffix, now.Add(time.Second))
		}
		w.noteLeftover(dir.Path().String()+"/"+id.String(), err)
	}
}

// readEndTime returns when a job ended: the later one of the end file's time and its
// text; without that file, when the build directory last changed.
func readEndTime(dir *safedir.Dir, id job.ID) (ended time.Time, known bool) {
	name := id.String() + endsSuffix
	if ended = dir.ModTime(name); ended.IsZero() {
		ended = dir.ModTime(id.String())
		return ended, !ended.IsZero()
	}
	text, _ := dir.Read(name, int64(len(time.RFC3339)))
	if written, err := time.Parse(time.RFC3339, string(text)); err == nil && written.After(ended) {
		return written, true
	}
	return ended, true
}
