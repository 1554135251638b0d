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

// staticDir has one build directory for each job (static_builds_dir).
const staticDir = "static"

// endsSuffix marks the file beside a job's build directory whose time is when the
// job ended, or before that, when it will have ended at the latest. The user can
// keep the directory for longer by touch(1).
const endsSuffix = ".ends"

func (w *Workspace) makeStatic(l jobRecord, root, scripts *safedir.Folder) (*safedir.Folder, error) {
	beside, err := root.Make(staticDir, l.Runner)
	if err != nil {
		return nil, err
	}
	defer beside.Close()
	if err := setEnd(beside, l.Job, l.Until); err != nil {
		return nil, err
	}
	builds, err := beside.Make(l.Job.String())
	if err != nil {
		return nil, err
	}
	if err := l.write(scripts); err != nil {
		builds.Close()
		return nil, err
	}
	return builds, nil
}

// setEnd sets the time of a job's mark. Where the file system does not let its user
// set times, the mark has the time as its text.
func setEnd(beside *safedir.Folder, id job.ID, at time.Time) error {
	name := id.String() + endsSuffix
	file, err := beside.File(name, unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return err
	}
	defer file.Close()
	stamp := unix.NsecToTimeval(at.UnixNano())
	err = unix.Futimes(int(file.Fd()), []unix.Timeval{stamp, stamp})
	if slices.ContainsFunc([]error{unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM, unix.EINVAL}, func(u error) bool { return errors.Is(err, u) }) {
		return beside.Write(name, []byte(at.UTC().Format(time.RFC3339)))
	}
	if err != nil {
		return diskspace.Explain("cannot set the time of "+file.Name(), file.Name(), err)
	}
	return nil
}

// sweepStatic takes the directories away whose days are over.
func (w *Workspace) sweepStatic(root *safedir.Folder, now time.Time) {
	all, err := root.Open(staticDir)
	if err != nil {
		w.note(root.Path().String()+"/"+staticDir, err)
		return
	}
	defer all.Close()
	runners, err := all.Names()
	w.note(all.Path().String(), err)
	for _, runner := range runners {
		beside, err := all.Open(runner)
		if err == nil {
			w.sweepStaticOf(root, beside, now)
			beside.Close()
		}
		w.noteStorage(all.Path().String()+"/"+runner, err)
	}
}

func (w *Workspace) sweepStaticOf(root, beside *safedir.Folder, now time.Time) {
	names, err := beside.Names()
	w.note(beside.Path().String(), err)
	days := time.Duration(w.brief.Settings.Storage.StaticBuildsDays) * 24 * time.Hour
	for _, name := range names {
		id, err := job.ParseID(strings.TrimSuffix(name, endsSuffix))
		if err != nil {
			continue
		}
		if ended, known := staticEnd(beside, id); !known || ended.Add(days).After(now) {
			continue
		}
		err = w.discard(root, beside, id.String())
		if err == nil {
			err = beside.Remove(id.String()+endsSuffix, now.Add(time.Second))
		}
		w.note(beside.Path().String()+"/"+id.String(), err)
	}
}

// staticEnd is when a job ended; without a mark, when its directory last changed.
// The later one counts of a mark's time and its text.
func staticEnd(beside *safedir.Folder, id job.ID) (ended time.Time, known bool) {
	mark := id.String() + endsSuffix
	if ended = beside.Time(mark); ended.IsZero() {
		ended = beside.Time(id.String())
		return ended, !ended.IsZero()
	}
	text, _ := beside.Read(mark, int64(len(time.RFC3339)))
	if written, err := time.Parse(time.RFC3339, string(text)); err == nil && written.After(ended) {
		return written, true
	}
	return ended, true
}
