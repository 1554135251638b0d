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
	err := w.eachScripts(func(runner *safedir.Dir, name string) {
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
			root = w.base.Path().String() + "/builds"
		}
		list = append(list, JobInfo{
			Runner: rec.Runner, Job: rec.Job, Host: rec.Host.Host, Until: rec.Until, Scripts: scripts.Path(),
			Directory: root + "/" + strings.Join(rec.buildPath(), "/"), Ended: rec.expired(w.host, time.Now()),
		})
	})
	return list, err
}

// eachScripts calls f for each entry of the runners' directories of scripts.
func (w *Workspace) eachScripts(f func(runner *safedir.Dir, name string)) error {
	all, err := w.base.Open("scripts")
	if err != nil {
		if errors.Is(err, unix.ENOENT) {
			return nil // no job has run
		}
		return err
	}
	defer all.Close()
	runners, err := all.Names()
	for _, runner := range slices.DeleteFunc(runners, func(n string) bool { return n == trashDir }) {
		dir, err := all.Open(runner)
		if err != nil {
			continue
		}
		names, _ := dir.Names()
		for _, name := range names {
			f(dir, name)
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

// CleanUp removes what a Sweep selects, the files of jobs that ended without a cleanup,
// and what is in the trash.
func (w *Workspace) CleanUp(s Sweep, now, until time.Time) []ipc.Leftover {
	if !s.DryRun {
		w.removeEndedJobs(until)
	}
	root, err := w.base.Open("builds")
	if err == nil {
		defer root.Close()
		w.Sweep(root, s, now, until)
		if !s.DryRun {
			w.noteLeftover(root.Path().String(), w.emptyTrash(root, "", until))
		}
		return w.unremoved
	}
	w.Sweep(nil, s, now, until)
	return w.unremoved
}
