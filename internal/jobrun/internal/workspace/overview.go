package workspace

import (
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/internal/lockwait"
)

// JobInfo is a job that has a record in the base directory.
type JobInfo struct {
	Runner    string
	Job       job.ID
	Host      string
	Until     time.Time // when its time is over
	Directory string    // of its builds
	Scripts   job.AbsPath
	// Ended means that its runner has ended or its time is over, and no cleanup ran.
	Ended bool
}

// Jobs lists the jobs of the account that have a record, on all hosts that share the
// directory.
func (w *Workspace) Jobs() ([]JobInfo, error) {
	var list []JobInfo
	err := w.eachScripts(func(_, runner *safedir.Dir, name string) {
		scripts, err := runner.Open(name)
		if err != nil {
			return
		}
		defer scripts.Close()
		rec, err := readJobRecord(scripts)
		if err != nil {
			return
		}
		root := rec.Custom.String()
		if rec.Custom.IsZero() {
			root = w.base.PathOf("builds")
		}
		list = append(list, JobInfo{
			Runner: rec.Runner, Job: rec.Job, Host: rec.Host.Host, Until: rec.Until, Scripts: scripts.Path(),
			Directory: root + "/" + strings.Join(rec.buildPath(), "/"), Ended: rec.expired(w.owners, time.Now()),
		})
	})
	return list, err
}

// eachScripts calls f for each entry of the runners' directories of scripts, which are in
// the directory all. It notes what it cannot read.
func (w *Workspace) eachScripts(f func(all, runner *safedir.Dir, name string)) error {
	return w.eachRunner(func(all, runner *safedir.Dir, names []string) {
		for _, name := range names {
			f(all, runner, name)
		}
	})
}

// eachRunner calls f for each runner's directory of scripts, with what is in it.
func (w *Workspace) eachRunner(f func(all, runner *safedir.Dir, names []string)) error {
	all, err := w.base.Open("scripts")
	if errors.Is(err, unix.ENOENT) {
		return nil // no job has run
	}
	if err != nil {
		w.noteUnusable(w.base.PathOf("scripts"), err)
		return err
	}
	defer all.Close()
	runners, err := all.Names()
	w.noteUnusable(all.Path().String(), err)
	for _, runner := range slices.DeleteFunc(runners, func(n string) bool { return n == trashDir }) {
		dir, err := all.Open(runner)
		if err != nil {
			w.noteStorageError(all.PathOf(runner), err)
			continue
		}
		names, err := dir.Names()
		w.noteUnusable(dir.Path().String(), err)
		if err == nil {
			f(all, dir, names)
		}
		dir.Close()
	}
	return err
}

// Part is a part of the base directory and its size.
type Part struct {
	Path string
	Kind string // builds, static, cache, logs or trash
	Size safedir.Size
}

// Parts measures the base directory by its parts.
func (w *Workspace) Parts() []Part {
	var parts []Part
	add := func(kind string, elem ...string) {
		if dir, err := w.base.OpenUnchecked(elem...); err == nil {
			parts = append(parts, Part{dir.Path().String(), kind, dir.Measure(time.Time{})})
			dir.Close()
		}
	}
	if builds, err := w.base.OpenUnchecked("builds"); err == nil {
		names, _ := builds.Names()
		builds.Close()
		slices.Sort(names)
		for _, name := range names {
			switch name {
			case trashDir:
			case staticDir:
				add("static", "builds", name)
			default:
				add("builds", "builds", name)
			}
		}
	}
	add("cache", "cache")
	add("logs", "scripts")
	add("trash", "builds", trashDir)
	return parts
}

// Clean removes what a Sweep selects, the files of jobs that ended without a cleanup,
// and what is in the trash.
func (w *Workspace) Clean(s Sweep, now, until time.Time) []ipc.Leftover {
	if !s.DryRun {
		w.removeEndedJobs(until)
	}
	root, err := w.base.Open("builds")
	if err == nil {
		defer root.Close()
		w.Sweep(root, s, now, until)
		if !s.DryRun {
			w.noteUnusable(root.Path().String(), w.emptyTrash(root, "", until))
		}
		return w.Unremoved()
	}
	w.Sweep(nil, s, now, until)
	return w.Unremoved()
}

// Measure measures the job's build directory for at most limit; ok is false where there
// is none, or for a limit of 0.
func (w *Workspace) Measure(limit time.Duration) (size safedir.Size, ok bool) {
	if limit <= 0 {
		return safedir.Size{}, false
	}
	until := time.Now().Add(limit)
	own, err := w.openOwn()
	if err != nil {
		return safedir.Size{}, false
	}
	w.measured = own
	builds, err := own.root.OpenUnchecked(own.rec.buildPath()...) // its mode is for the next job to judge
	if err != nil {
		return safedir.Size{}, false
	}
	defer builds.Close()
	return builds.Measure(until), true
}

// AwaitStage waits at most limit until no stage of the job runs any more, and reports
// whether that is so. Where the job has no build directory, none runs.
func (w *Workspace) AwaitStage(limit time.Duration) bool {
	return lockwait.Poll(time.Now().Add(limit), time.Second, func() error {
		if w.stageRuns() {
			return unix.EAGAIN
		}
		return nil
	}) == nil
}

func (w *Workspace) stageRuns() bool {
	own, err := w.openOwn()
	if err != nil {
		return false
	}
	defer own.close()
	if own.rec.Static {
		return false
	}
	p, err := w.lockPoolOf(own.rec, own.root)
	if err != nil {
		return false
	}
	defer p.close() //nolint:errcheck // nothing was written
	return p.stageRunning(own.rec.Slot)
}
