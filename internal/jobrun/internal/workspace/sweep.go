package workspace

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// Sweep selects what is removed because it was not used for long. A zero age selects
// nothing.
type Sweep struct {
	Builds, Caches, Logs time.Duration
	// Project, "group/project" or "" for any, is the one whose build directories are
	// removed. Caches and logs have no such choice.
	Project string
	// DryRun removes nothing.
	DryRun bool
	// Removed is called with the path of everything that is removed, before that; it may
	// be nil.
	Removed func(path string)
}

func (s Sweep) remove(path string) bool {
	if s.Removed != nil {
		s.Removed(path)
	}
	return !s.DryRun
}

const day = 24 * time.Hour

// siteSweep is what the site's configuration selects.
func (w *Workspace) siteSweep() Sweep {
	s := w.request.Settings
	return Sweep{Builds: time.Duration(s.BuildDays) * day, Caches: time.Duration(s.CacheDays) * day, Logs: time.Duration(s.LogDays) * day}
}

// Sweep removes free build directories, files of caches and retained logs, until the
// deadline. It takes the lock of each pool and leaves out what a live job has. It notes
// what it cannot remove.
func (w *Workspace) Sweep(root *safedir.Dir, s Sweep, now, until time.Time) {
	if s.Builds > 0 && root != nil {
		w.sweepBuilds(root, s, now, until)
		if all := w.openStatic(root); all != nil {
			w.sweepStatic(root, all, s, now, until)
			all.Close()
		}
	}
	if s.Caches > 0 {
		if cache, err := w.base.Open("cache"); err == nil {
			w.sweepFiles(cache, s, now.Add(-s.Caches), until, 0)
			cache.Close()
		}
	}
	if s.Logs > 0 {
		w.sweepLogs(s, now.Add(-s.Logs), until)
	}
}

// sweepForSite removes what the site's configuration selects. A sweep that took long, as
// with thousands of projects, is not repeated soon: a job must not end later for what others
// have left.
func (w *Workspace) sweepForSite(root *safedir.Dir, until time.Time) {
	s, begun := w.siteSweep(), time.Now()
	static := w.openStatic(root)
	if static != nil {
		defer static.Close()
	}
	if static == nil && s.Builds+s.Caches+s.Logs == 0 {
		return
	}
	lately, days := w.sweptLately(begun), w.request.Settings.StaticBuildsDays
	if static != nil && (days == 0 || !lately) { // where none is to stay, there are few
		w.sweepStatic(root, static, Sweep{Builds: time.Duration(days) * day}, begun, until)
	}
	if lately {
		return
	}
	w.Sweep(root, s, begun, until)
	if time.Since(begun) > longSweep {
		_ = w.base.Create(sweptFile)
		_ = w.base.Touch(sweptFile)
	}
}

const (
	// sweptFile has the time of the last sweep that took longer than longSweep; sweepPause is
	// the time to the next one.
	sweptFile  = "swept"
	longSweep  = time.Second
	sweepPause = time.Hour
)

// sweptLately reports whether the pause after a long sweep lasts. A time in the future is of
// a clock that was wrong.
func (w *Workspace) sweptLately(now time.Time) bool {
	ago := now.Sub(w.base.ModTime(sweptFile))
	return ago > -sweepPause && ago < sweepPause
}

// shuffled changes the order of names, so that sweeps that end at their deadline reach all
// of them in time.
func shuffled(names []string, err error) ([]string, error) {
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names, err
}

// sweepBuilds moves free build directories of all pools to the trash, and removes pools that
// have none and were not used for long.
func (w *Workspace) sweepBuilds(root *safedir.Dir, s Sweep, now, until time.Time) {
	names, err := shuffled(root.Names())
	w.noteUnusable(root.Path().String(), err)
	for _, name := range names {
		if time.Now().After(until) {
			return
		}
		if name == trashDir || name == staticDir {
			continue
		}
		dir, err := root.Open(name)
		if err != nil {
			continue // not a directory of jobs
		}
		if _, err := dir.Stat(reservationsFile); err != nil {
			dir.Close()
			continue // not a pool
		}
		unused, err := w.sweepPool(root, dir, s, now)
		w.noteUnusable(root.PathOf(name), err)
		if unused {
			_ = root.RemoveEmpty(name) // fails where another job has taken it since
		}
	}
}

// sweepPool closes dir. It reports whether nothing is left in it.
func (w *Workspace) sweepPool(root, dir *safedir.Dir, s Sweep, now time.Time) (unused bool, err error) {
	p, err := lockPool(dir, w.newLockLog())
	if err != nil {
		return false, err
	}
	defer p.closeInto(&err)
	all, err := p.reservations()
	if err != nil {
		return false, err
	}
	names, err := p.dir.Names()
	if err != nil {
		return false, err
	}
	if s.Project == "" && !s.DryRun && p.isUnused(all, names, now.Add(-s.Builds)) {
		return true, p.removeFiles(time.Now().Add(time.Second))
	}
	for _, name := range names {
		n, ok := slotOf(name)
		if !ok || !w.isOld(p.dir, name, s, now) {
			continue
		}
		var r reservation // free, for a slot that was never used
		if n < len(all) {
			r = all[n]
		}
		if !w.available(p, n, r) {
			continue
		}
		if !s.remove(p.dir.PathOf(name)) {
			continue
		}
		derr := w.discard(root, p.dir, name)
		p.log.add(p.dir, n, "removed, not used for long")
		w.noteLeftover(p.dir.PathOf(name), derr)
	}
	return false, nil
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
		w.noteUnusable(p.dir.PathOf(slotName(n)), err)
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

// isOld reports whether a build directory was not used for long and has the project.
func (w *Workspace) isOld(pool *safedir.Dir, slot string, s Sweep, now time.Time) bool {
	at, err := pool.Stat(slot)
	if err != nil || !at.Dir || at.Used.Add(s.Builds).After(now) {
		return false
	}
	return s.matches(pool, slot)
}

// matches reports whether a build directory has the project, if one is chosen.
func (s Sweep) matches(dir *safedir.Dir, name string) bool {
	if s.Project == "" {
		return true
	}
	project, err := dir.OpenUnchecked(append([]string{name}, strings.Split(s.Project, "/")...)...)
	if err != nil {
		return false
	}
	project.Close()
	return true
}

// maxCacheDepth bounds the depth of a cache: group, subgroups, project, key, file.
const maxCacheDepth = 40

// sweepFiles removes the files below dir that were last used before a time, and the
// directories that were empty before that and have not changed since: a branch or a project
// has its own. The runner makes a directory right before it writes a file there; where it is
// removed in between, that cache is not stored, and the runner prints a warning.
func (w *Workspace) sweepFiles(dir *safedir.Dir, s Sweep, before, until time.Time, depth int) (empty bool) {
	names, err := shuffled(dir.Names())
	w.noteUnusable(dir.Path().String(), err)
	for _, name := range names {
		if time.Now().After(until) || depth > maxCacheDepth {
			return false
		}
		at, err := dir.Stat(name)
		if err != nil {
			continue
		}
		if !at.Dir {
			if at.Used.Before(before) && s.remove(dir.PathOf(name)) {
				w.noteLeftover(dir.PathOf(name), dir.Remove(name, until))
			}
			continue
		}
		below, err := dir.OpenUnchecked(name)
		if err != nil {
			continue
		}
		empty := w.sweepFiles(below, s, before, until, depth+1)
		below.Close()
		if empty && at.Used.Before(before) && !s.DryRun {
			_ = dir.RemoveEmpty(name)
		}
	}
	return err == nil && len(names) == 0
}

// sweepLogs removes the retained logs of jobs that ended before a time. A directory with
// the record of a job or of a batch job is none.
func (w *Workspace) sweepLogs(s Sweep, before, until time.Time) {
	_ = w.eachScripts(func(all, dir *safedir.Dir, name string) {
		at, err := dir.Stat(name)
		if _, perr := job.ParseID(name); perr != nil || err != nil || !at.Dir || !at.Used.Before(before) || time.Now().After(until) {
			return
		}
		scripts, err := dir.Open(name)
		if err != nil {
			return
		}
		_, rerr := readJobRecord(scripts)
		open := w.hasOrphans(scripts.Path())
		scripts.Close()
		if errors.Is(rerr, unix.ENOENT) && !open && s.remove(dir.PathOf(name)) {
			w.noteLeftover(dir.PathOf(name), w.discard(all, dir, name))
		}
	})
	if all, err := w.base.Open("scripts"); err == nil && !s.DryRun {
		w.noteUnusable(all.Path().String(), w.emptyTrash(all, "", until))
		all.Close()
	}
}
