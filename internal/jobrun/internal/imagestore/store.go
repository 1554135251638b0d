// Package imagestore fetches images once for all jobs of an account, and makes the
// directories of running containers.
//
//	CACHE/                 below the account's base directory, or container.cache_dir/USER
//	  KEY.json             the entry of a reference: which image it is, and where
//	  KEY-DIGEST/          a fetched image
//	  KEY.JOB.new/         one that is being fetched
//	  KEY.lock             the lock for a fetch
//	  KEY-DIGEST.JOB.use   a job uses the image, from its prepare to its cleanup
//	  KEY.json.old         the entry of an image that is to be removed if no job uses it
//	  KEY-DIGEST.gone      an image that is being removed
//	TEMP/jc.XXXXXXXX/      the state of one call of an engine, locked by its owner
//
// Readers never see an incomplete image: it has its final name when it is complete.
package imagestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/internal/lockwait"
)

// Commander runs a command to its end, or until ctx ends. The process has the files as its
// descriptors from 3 on.
type Commander func(ctx context.Context, c container.Command, files []*os.File) container.Reply

// Store are the images of one account.
type Store struct {
	Dir    *safedir.Dir
	Engine container.Engine
	// Program is the engine's own program.
	Program string
	Run     Commander
	Account container.Account
	Temp    job.AbsPath
	// Job names this job among all of the account.
	Job string
	Log joblog.Writer
	// Timeout bounds a fetch, and the wait for another job's.
	Timeout time.Duration
	CA      job.AbsPath
	Logins  []image.LoginSource
	// Env are NAME=value pairs for the fetch: those of the host's proxies.
	Env []string
}

// Get returns the image of a request, by the first of the policies that succeeds.
func (s Store) Get(ctx context.Context, r image.Request, policies []image.PullPolicy) (e Entry, err error) {
	for i, policy := range policies {
		if e, err = s.get(ctx, r, policy); err == nil || ctx.Err() != nil {
			return e, err
		}
		if more := i+1 < len(policies); more {
			s.Log.Warn("%v; trying the pull policy %s", err, policies[i+1])
		}
	}
	return e, err
}

func (s Store) get(ctx context.Context, r image.Request, policy image.PullPolicy) (Entry, error) {
	k := key(s.Engine.Formats()[0], r.Reference, r.Platform)
	s.Log.Note("Image %s (pull policy %s)", r.Reference, policy)
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	e, found, err := s.present(ctx, k, r)
	switch {
	case err != nil:
	case policy == image.Never && !found:
		return e, failure.Buildf("the image %s is not on this resource, and the pull policy %s does not fetch it", r.Reference, policy).
			WithHint("write pull_policy: if-not-present, where the resource allows that")
	case found && policy != image.Always:
		s.Log.Note("Using %s (%s, present)", e.Pinned(), size(e.Size))
		return e, nil
	default:
		e, err = s.fetchLocked(ctx, k, r, policy)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
		err = failure.Systemf("fetching the image %s took longer than %v", r.Reference, s.Timeout).
			WithHint("administrators: container.pull_timeout; the registry may be slow, or limit the rate of requests")
	}
	return e, err
}

// present returns an image that is there, and keeps it for this job.
func (s Store) present(ctx context.Context, k string, r image.Request) (Entry, bool, error) {
	e, found := s.find(k, r)
	if !found || s.use(e) {
		return e, found, nil
	}
	lock, e, found, err := s.lockImage(ctx, k, r) // another job may have begun to remove it
	if err == nil {
		lock.Close()
	}
	return e, found, err
}

// lockImage takes a key's lock, and keeps its image for this job if it is there.
func (s Store) lockImage(ctx context.Context, k string, r image.Request) (lock *os.File, e Entry, found bool, err error) {
	lock, err = s.lock(ctx, k+lockSuffix)
	if err != nil {
		return nil, e, false, err
	}
	s.restore(k)
	e, found = s.find(k, r)
	return lock, e, found && s.use(e), nil
}

// fetchLocked fetches an image unless another job has fetched it while this one waited.
func (s Store) fetchLocked(ctx context.Context, k string, r image.Request, policy image.PullPolicy) (Entry, error) {
	asked := time.Now()
	lock, e, found, err := s.lockImage(ctx, k, r)
	if err != nil {
		return Entry{}, err
	}
	defer lock.Close()
	if found && (policy != image.Always || e.Fetched.After(asked)) {
		s.Log.Note("Using %s (%s, fetched by another job of yours)", e.Pinned(), size(e.Size))
		return e, nil
	}
	s.removeUnfinished(k)
	if e, err = s.fetch(ctx, k, r, e, found); err == nil {
		s.use(e)
	}
	return e, err
}

// lock takes the lock for a fetch, or waits for it.
func (s Store) lock(ctx context.Context, name string) (*os.File, error) {
	for {
		file, err := s.lockFile(ctx, name)
		if err != nil || s.Dir.IsNamed(name, file) {
			return file, err
		}
		file.Close() // a Prune has removed it meanwhile
	}
}

func (s Store) lockFile(ctx context.Context, name string) (*os.File, error) {
	file, err := s.Dir.File(name, unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return nil, err
	}
	if err = flock(file); errors.Is(err, unix.EAGAIN) {
		s.Log.Note("waiting: another job of yours fetches or removes this image")
		deadline, _ := ctx.Deadline()
		err = lockwait.Poll(deadline, lockPause, func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return flock(file)
		})
	}
	if err != nil {
		file.Close()
		return nil, lockFailed(ctx, file.Name(), err)
	}
	return file, nil
}

// lockFailed returns why a job did not get a lock.
func lockFailed(ctx context.Context, path string, err error) error {
	switch {
	case errors.Is(err, unix.EAGAIN):
		<-ctx.Done() // its deadline has come
		return ctx.Err()
	case ctx.Err() == nil:
		return diskspace.ExplainLock("cannot lock "+path, path, err)
	}
	return err
}

// tryLock takes a lock, nil where it cannot.
func (s Store) tryLock(name string) *os.File {
	file, err := s.Dir.File(name, unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return nil
	}
	if flock(file) != nil || !s.Dir.IsNamed(name, file) {
		file.Close()
		return nil
	}
	return file
}

// lockPause is how long a wait may take beyond the end of another job's fetch.
const lockPause = time.Second / 2

// flock takes a lock where that is possible at once.
func flock(file *os.File) error {
	return eintr.Retry(func() error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
}

// removeUnfinished removes what an earlier holder of the key's lock has not finished.
func (s Store) removeUnfinished(k string) {
	s.removeMatching(func(name string) bool { return strings.HasPrefix(name, k+".") && strings.HasSuffix(name, newSuffix) })
}

// Release ends the uses of this job, and removes what a killed stage of it has not finished.
func (s Store) Release() {
	s.removeMatching(func(name string) bool {
		return strings.HasSuffix(name, "."+s.Job+newSuffix) || strings.HasSuffix(name, "."+s.Job+useSuffix)
	})
}

const newSuffix = ".new"

func (s Store) removeMatching(matches func(string) bool) {
	names, _ := s.Dir.Names()
	for _, name := range names {
		if matches(name) {
			_ = s.Dir.Remove(name, time.Now().Add(removeTime)) // the next fetch or cleanup continues
		}
	}
}

func size(bytes int64) string { return fmt.Sprintf("%d MB", (bytes+999_999)/1_000_000) }
