package admin

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

// ReapOptions are those of `jacamar-admin reap`.
type ReapOptions struct {
	// Stop is how an overdue job is stopped; its Journal is the one that is read.
	Stop StopOptions
	// Older is how long nothing may have happened to a job.
	Older  time.Duration
	DryRun bool
	// KillTimeout is the site's general.kill_timeout.
	KillTimeout time.Duration
	// CleanUp cleans up after one job, as its account.
	CleanUp func(context.Context, journal.Key) error
}

const (
	// reapers is how many jobs are cleaned up at the same time, and reapersOfOne how many of
	// one account, whose storage may not answer.
	reapers, reapersOfOne = 4, 2
	// stopSlack is how much longer than kill_timeout the end of a stopped job may take,
	// with the cleanup by its runner.
	stopSlack = 30 * time.Second
	// stopPeriod is how often the journal is read meanwhile.
	stopPeriod = 100 * time.Millisecond
)

// Reap stops the jobs of this host that are overdue, and cleans up after those that
// their runner has abandoned. It returns how many could not be settled; they stay in the
// journal.
func Reap(ctx context.Context, w io.Writer, o ReapOptions, now time.Time) (unsettled int, err error) {
	host, err := os.Hostname()
	if err != nil {
		return 0, err
	}
	found, err := o.find(host, now)
	if err != nil {
		return 0, err
	}
	if len(found.overdue)+len(found.ghosts)+len(found.waiting) == 0 {
		_, err = fmt.Fprintln(w, "no job of this host is abandoned or overdue: nothing to do")
		return 0, err
	}
	if o.DryRun {
		return 0, found.print(w)
	}
	if err := o.stop(ctx, w, found.overdue, now); err != nil {
		return 0, err
	}
	if len(found.overdue) > 0 {
		if found, err = o.find(host, time.Now()); err != nil {
			return 0, err
		}
	}
	return o.cleanUp(ctx, w, found)
}

// findings are the jobs that are not as they should be.
type findings struct {
	overdue, ghosts []journal.Record
	// waiting are ghosts that may not be touched yet, and jobs whose file cannot be read.
	waiting []journal.Record
	why     map[journal.Key]error
}

func (o ReapOptions) find(host string, now time.Time) (f findings, err error) {
	lives, err := journal.LiveJobs(o.Stop.Journal, host)
	if err != nil {
		return f, err
	}
	f.why = map[journal.Key]error{}
	for _, r := range lives {
		owner, known := r.Owner()
		gone := known && owner.Gone()
		switch journal.StateOf(r, gone, now) {
		case journal.Unread:
			f.waiting, f.why[r.Key] = append(f.waiting, r), r.Unread
		case journal.Overdue:
			f.overdue = append(f.overdue, r)
		case journal.Ghost:
			if err := r.Abandoned(gone, now); err != nil {
				f.waiting, f.why[r.Key] = append(f.waiting, r), err
			} else if now.Sub(r.Last()) >= o.Older {
				f.ghosts = append(f.ghosts, r)
			}
		}
	}
	return f, nil
}

func (f findings) print(w io.Writer) error {
	for _, line := range []struct {
		jobs []journal.Record
		text string
	}{{f.overdue, "overdue: would be stopped"}, {f.ghosts, "abandoned: would be cleaned up"}} {
		for _, r := range line.jobs {
			if _, err := fmt.Fprintf(w, "%s: %s\n", title(r), line.text); err != nil {
				return err
			}
		}
	}
	return f.printWaiting(w)
}

func (f findings) printWaiting(w io.Writer) error {
	for _, r := range f.waiting {
		if _, err := fmt.Fprintf(w, "%s: not cleaned up: %v\n", title(r), f.why[r.Key]); err != nil {
			return err
		}
	}
	return nil
}

// title names a job with its account.
func title(r journal.Record) string {
	e, _ := r.Find(journal.Granted)
	if e.Context.Account == "" {
		return fmt.Sprintf("job %s (uid %d)", r.Key.Job, r.Key.UID)
	}
	return fmt.Sprintf("job %s (%s)", r.Key.Job, job.Printable(e.Context.Account))
}

// stop stops the jobs that are overdue, and waits until their stages have ended and
// their runners have cleaned up, if they live.
func (o ReapOptions) stop(ctx context.Context, w io.Writer, overdue []journal.Record, now time.Time) error {
	if len(overdue) == 0 {
		return nil
	}
	var keys []journal.Key
	s := o.Stop
	s.Message, s.Overdue = "the time of the job is over", true
	for _, r := range overdue {
		keys = append(keys, r.Key)
		s.Jobs = append(s.Jobs, r.Key.Job)
	}
	if err := Stop(w, s, now); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.KillTimeout+stopSlack)
	defer cancel()
	err := poll(ctx, stopPeriod, func() (bool, error) {
		lives, err := liveJobs(o.Stop.Journal, func(r journal.Record) bool {
			owner, known := r.Owner()
			return slices.Contains(keys, r.Key) && (r.Running || known && !owner.Gone())
		})
		return len(lives) == 0, err
	})
	if ctx.Err() != nil {
		return nil // it stays overdue
	}
	return err
}

// cleanUp cleans up after the ghosts, several at a time: each may wait for its batch
// system. Those of one account leave a place for others.
func (o ReapOptions) cleanUp(ctx context.Context, w io.Writer, f findings) (unsettled int, err error) {
	var (
		lines  = make(chan string)
		turn   = make(chan struct{}, reapers)
		own    = map[job.UID]chan struct{}{}
		all    sync.WaitGroup
		failed atomic.Int32
	)
	for _, r := range f.ghosts {
		if own[r.Key.UID] == nil {
			own[r.Key.UID] = make(chan struct{}, reapersOfOne)
		}
		account := own[r.Key.UID]
		all.Go(func() {
			account <- struct{}{}
			defer func() { <-account }()
			turn <- struct{}{}
			defer func() { <-turn }()
			if err := o.CleanUp(ctx, r.Key); err != nil && o.isLive(r) {
				failed.Add(1)
				lines <- fmt.Sprintf("%s: not settled: %s", title(r), job.Printable(err.Error()))
				return
			}
			lines <- title(r) + ": cleaned up"
		})
	}
	go func() { all.Wait(); close(lines) }()
	for line := range lines {
		if _, werr := fmt.Fprintln(w, line); werr != nil {
			err = werr
		}
	}
	if werr := f.printWaiting(w); werr != nil {
		err = werr
	}
	return int(failed.Load()) + len(f.waiting) + len(f.overdue), err
}

// isLive reports whether a job is still in the journal: another process may have cleaned up
// after it meanwhile.
func (o ReapOptions) isLive(r journal.Record) bool {
	lives, err := journal.LiveJobs(o.Stop.Journal, r.Host)
	return err != nil || slices.ContainsFunc(lives, func(l journal.Record) bool { return l.Key == r.Key })
}
