package imagestore

import (
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/jobrun/internal/safedir"
)

// Limits bound the images of an account. Zero values of the first two mean no limit.
type Limits struct {
	// Unused is the time after which an image is removed that no job has used.
	Unused time.Duration
	// Size of all images together, in bytes: above it the longest unused go first.
	Size int64
	// Idle is the time since its last use before which no image is removed. A network
	// file system may show a new use to other hosts after seconds only.
	Idle time.Duration
}

const (
	// useSuffix is that of an empty file, with the image's and the job's name before it,
	// by which a job keeps an image from its prepare to its cleanup.
	useSuffix = ".use"
	// prunedSuffix is that of an entry whose image is to be removed if no job uses it, and
	// goneSuffix that of an image of which parts may be missing.
	prunedSuffix = ".old"
	goneSuffix   = ".gone"
	// pruneLock is the lock of the one Prune that runs.
	pruneLock = "prune" + lockSuffix
	// longestUse is the age at which a use counts no more: its job had no cleanup. GitLab
	// ends jobs after a month.
	longestUse = 31 * 24 * time.Hour
)

// use keeps an image for this job, and reports whether jobs can still find it. The file
// precedes the second look at the entry, and Prune looks for files after it has renamed the
// entry: one of both sees the other, and the image of a job never moves. Without space for
// the file the time of the image still keeps it, and nothing removes it from a file system
// that is mounted read-only.
func (s Store) use(e Entry) bool {
	_ = s.Dir.Create(e.Name + "." + s.Job + useSuffix)
	if err := s.Dir.Touch(e.Name); err != nil && !errors.Is(err, unix.EROFS) {
		return false
	}
	now, err := s.entry(e.key())
	return err == nil && now.Name == e.Name
}

// Prune removes at most one image that no job uses, and what an earlier Prune has begun.
// It waits for nothing: another job's fetch, or its Prune, goes first.
func (s Store) Prune(limits Limits, until time.Time) error {
	lock := s.tryLock(pruneLock)
	if lock == nil {
		return nil
	}
	defer lock.Close()
	names, err := s.Dir.Names()
	if err != nil {
		return err
	}
	now := time.Now()
	begun, err := s.resume(names, now, until)
	if begun {
		return err
	}
	for _, candidate := range limits.exceeding(s.images(names), now) {
		if s.isUsed(candidate.name, names, now) {
			continue
		}
		removed, perr := s.prune(candidate, until)
		if err = errors.Join(err, perr); removed {
			break
		}
	}
	return err
}

// resume continues what an earlier Prune has begun. What cannot be removed keeps nothing else
// in the store: it may stay so for years.
func (s Store) resume(names []string, now, until time.Time) (begun bool, err error) {
	for _, name := range names {
		k, pruned := strings.CutSuffix(name, entrySuffix+prunedSuffix)
		switch {
		case pruned:
			err = errors.Join(err, s.resumeEntry(k, until))
		case strings.HasSuffix(name, goneSuffix):
			rerr := s.Dir.Remove(name, until)
			err = errors.Join(err, rerr)
			if rerr == nil || errors.Is(rerr, safedir.ErrDeadline) {
				return true, err
			}
		case strings.HasSuffix(name, newSuffix):
			err = errors.Join(err, s.removeLost(name, until))
		case strings.HasSuffix(name, useSuffix) && now.Sub(s.Dir.ModTime(name)) >= longestUse:
			err = errors.Join(err, s.Dir.Remove(name, until))
		}
	}
	return false, errors.Join(err, s.removeLocks(names, until))
}

// removeLost removes what a killed fetch has not finished, whose image no job may ever fetch
// again: the lock of its key is free.
func (s Store) removeLost(name string, until time.Time) error {
	k, _, _ := strings.Cut(name, ".")
	lock := s.tryLock(k + lockSuffix)
	if lock == nil {
		return nil
	}
	defer lock.Close()
	return s.Dir.Remove(name, until)
}

// removeLocks removes the locks of keys of which nothing else is left: each name of an image
// has one.
func (s Store) removeLocks(names []string, until time.Time) (err error) {
	has := map[string]bool{}
	for _, name := range names {
		if k := name[:max(strings.IndexAny(name, ".-"), 0)]; name != k+lockSuffix {
			has[k] = true
		}
	}
	for _, name := range names {
		k, isLock := strings.CutSuffix(name, lockSuffix)
		if !isLock || has[k] || name == pruneLock || time.Now().After(until) {
			continue
		}
		if lock := s.tryLock(name); lock != nil {
			err = errors.Join(err, s.Dir.Remove(name, until))
			lock.Close()
		}
	}
	return err
}

// resumeEntry restores an entry that a killed Prune has renamed, or removes it if its image
// is gone.
func (s Store) resumeEntry(k string, until time.Time) error {
	lock := s.tryLock(k + lockSuffix)
	if lock == nil {
		return nil
	}
	defer lock.Close()
	s.restore(k)
	if e, err := s.entry(k); err == nil && s.Dir.ModTime(e.Name).IsZero() {
		return s.Dir.Remove(k+entrySuffix, until)
	}
	return nil
}

// restore gives an entry its name again that a Prune has renamed. The caller has the key's
// lock.
func (s Store) restore(k string) {
	if s.Dir.Move(k+entrySuffix+prunedSuffix, s.Dir, k+entrySuffix) != nil {
		_ = s.Dir.Remove(k+entrySuffix+prunedSuffix, time.Now().Add(removeTime)) // there is a newer one, or none to restore
	}
}

// stored is an image in the store.
type stored struct {
	name string
	used time.Time
	size int64
	// named reports that an entry names it: jobs can find it.
	named bool
}

func (s Store) images(names []string) (all []stored) {
	for _, name := range names {
		k, _, found := strings.Cut(name, "-")
		if !found || isAuxiliary(name) {
			continue
		}
		entry, _ := s.Dir.Stat(name)
		if !entry.Dir { // or it is gone
			continue
		}
		one := stored{name: name, used: entry.Used}
		if e, err := s.entry(k); err == nil && e.Name == name {
			one.named, one.size = true, e.Size
		}
		all = append(all, one)
	}
	return all
}

func isAuxiliary(name string) bool {
	return slices.ContainsFunc([]string{entrySuffix, lockSuffix, newSuffix, useSuffix, prunedSuffix, goneSuffix}, func(s string) bool { return strings.HasSuffix(name, s) })
}

// isUsed reports whether a job keeps the image.
func (s Store) isUsed(image string, names []string, now time.Time) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return strings.HasPrefix(name, image+".") && strings.HasSuffix(name, useSuffix) && now.Sub(s.Dir.ModTime(name)) < longestUse
	})
}

// exceeding returns the images that are to be removed unless a job uses them, the first one
// first: those that no job can find, those that are unused for too long, and the longest
// unused of too many.
func (l Limits) exceeding(all []stored, now time.Time) (some []stored) {
	slices.SortFunc(all, func(a, b stored) int {
		if a.named != b.named {
			if b.named {
				return -1
			}
			return 1
		}
		return a.used.Compare(b.used)
	})
	var total int64
	for _, one := range all {
		total += one.size
	}
	for _, one := range all {
		idle := now.Sub(one.used)
		tooOld, tooMuch := l.Unused > 0 && idle >= l.Unused, l.Size > 0 && total > l.Size
		if idle >= l.Idle && (!one.named || tooOld || tooMuch) {
			some = append(some, one)
		}
	}
	return some
}

// prune removes an image unless it is being fetched or used.
func (s Store) prune(one stored, until time.Time) (removed bool, err error) {
	retired, err := s.retire(one, until)
	if !retired || err != nil {
		return false, err
	}
	return true, s.Dir.Remove(one.name+goneSuffix, until)
}

// retire takes an image out of the store, as one step for jobs, unless one uses it.
func (s Store) retire(one stored, until time.Time) (bool, error) {
	k, _, _ := strings.Cut(one.name, "-")
	lock := s.tryLock(k + lockSuffix)
	if lock == nil {
		return false, nil
	}
	defer lock.Close()
	e, err := s.entry(k)
	named := err == nil && e.Name == one.name
	if named {
		if err := s.Dir.Move(k+entrySuffix, s.Dir, k+entrySuffix+prunedSuffix); err != nil {
			return false, nil
		}
		defer s.restore(k) // unless it has been removed below
	}
	names, err := s.Dir.Names()
	if err != nil || s.isUsed(one.name, names, time.Now()) || s.Dir.ModTime(one.name).After(one.used) {
		return false, err
	}
	if err := s.Dir.Move(one.name, s.Dir, one.name+goneSuffix); err != nil || !named {
		return err == nil, err
	}
	return true, s.Dir.Remove(k+entrySuffix+prunedSuffix, until)
}
