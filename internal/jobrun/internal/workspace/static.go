package workspace

import (
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

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

// openStatic opens the directory of such directories; nil for none.
func (w *Workspace) openStatic(root *safedir.Dir) *safedir.Dir {
	all, err := root.Open(staticDir)
	if err != nil {
		w.noteUnusable(root.PathOf(staticDir), err)
		return nil
	}
	return all
}

// sweepStatic removes the directories of jobs that ended long ago (static_builds_days), and
// those of runners that have none any more.
func (w *Workspace) sweepStatic(root, all *safedir.Dir, s Sweep, now, until time.Time) {
	runners, err := shuffled(all.Names())
	w.noteUnusable(all.Path().String(), err)
	for _, runner := range runners {
		dir, err := all.Open(runner)
		empty := false
		if err == nil {
			empty = w.sweepStaticOf(root, dir, s, now, until)
			dir.Close()
		}
		w.noteStorageError(all.PathOf(runner), err)
		if empty && !s.DryRun {
			w.removeEmptyRunner(all, runner)
		}
	}
}

// sweepStaticOf reports whether the directory was empty before.
func (w *Workspace) sweepStaticOf(root, dir *safedir.Dir, s Sweep, now, until time.Time) (empty bool) {
	names, err := shuffled(dir.Names())
	w.noteUnusable(dir.Path().String(), err)
	seen := map[job.ID]bool{} // a job has a directory and an end file
	for _, name := range names {
		id, perr := job.ParseID(strings.TrimSuffix(name, endsSuffix))
		if perr != nil || seen[id] || time.Now().After(until) {
			continue
		}
		seen[id] = true
		path := dir.PathOf(id.String())
		if !endedBefore(dir, id, now.Add(-s.Builds)) || !s.matches(dir, id.String()) || !s.remove(path) {
			continue
		}
		derr := w.discard(root, dir, id.String())
		if derr == nil {
			derr = dir.Remove(id.String()+endsSuffix, time.Now().Add(time.Second))
		}
		w.noteLeftover(path, derr)
	}
	return err == nil && len(names) == 0
}

// endedBefore reports whether a job ended before a time, by the later one of the end file's
// time and its text; without that file, whether its build directory last changed before.
func endedBefore(dir *safedir.Dir, id job.ID, before time.Time) bool {
	name := id.String() + endsSuffix
	switch ended := dir.ModTime(name); {
	case ended.IsZero():
		changed := dir.ModTime(id.String())
		return !changed.IsZero() && !changed.After(before)
	case ended.After(before):
		return false
	}
	text, _ := dir.Read(name, int64(len(time.RFC3339)))
	written, err := time.Parse(time.RFC3339, string(text))
	return err != nil || !written.After(before)
}

// removeStaticJob removes the secrets and scripts of a job. Its build directory stays.
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
