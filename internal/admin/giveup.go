package admin

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

// GiveUpOptions are those of `jacamar-admin reap --give-up`.
type GiveUpOptions struct {
	Journal job.AbsPath
	// Host had the jobs, "" for this one.
	Host string
	Jobs []job.ID
}

// longestJob is how long after its last event no job of another host can run: GitLab ends
// jobs after a month.
const longestJob = 31 * 24 * time.Hour

// givenUp is the result of a job whose record ended without a clean-up.
const givenUp = "given_up"

// GiveUp ends the records of abandoned jobs that no clean-up can settle, as the account or
// the host no longer exists, and prints what they may have left. It is for the account that
// has the journal.
func GiveUp(w io.Writer, o GiveUpOptions, now time.Time) error {
	here, err := os.Hostname()
	if err != nil {
		return err
	}
	if o.Host == "" {
		o.Host = here
	}
	hosts, err := hostsOf(o.Journal)
	if err != nil {
		return err
	}
	if !slices.Contains(hosts, o.Host) {
		return fmt.Errorf("the journal has no host %q", job.Clip(o.Host))
	}
	j, err := journal.Open(o.Journal, o.Host)
	if err != nil {
		return err
	}
	defer j.Close()
	lives, err := journal.LiveJobs(o.Journal, o.Host)
	if err != nil {
		return err
	}
	for _, id := range o.Jobs {
		err = errors.Join(err, o.giveUp(w, j, id, lives, o.Host == here, now))
	}
	return err
}

// giveUp gives up the jobs with a number: a host that serves two GitLab servers can have two.
func (o GiveUpOptions) giveUp(w io.Writer, j *journal.Journal, id job.ID, lives []journal.Record, here bool, now time.Time) (err error) {
	found := false
	for _, r := range lives {
		if r.Key.Job == id {
			found = true
			err = errors.Join(err, o.endRecord(w, j, r.Key, here, now))
		}
	}
	if !found {
		_, err = fmt.Fprintf(w, "%s has no live job %s: nothing to do\n", job.Printable(o.Host), id)
	}
	return err
}

func (o GiveUpOptions) endRecord(w io.Writer, j *journal.Journal, key journal.Key, here bool, now time.Time) error {
	live, r, err := j.TakeOver(key, func(r journal.Record) error { return mayGiveUp(r, here, now) })
	if err != nil {
		return fmt.Errorf("cannot give up job %s: %w", key.Job, err)
	}
	end := journal.Context{Exit: givenUp, Reason: "an administrator ended the record without a clean-up"}
	if err := live.End(journal.At(now, journal.Reaped, end)); err != nil {
		return err
	}
	if err := journal.RemoveMark(o.Journal, journal.StopJob(key.Job)); err != nil && !errors.Is(err, journal.ErrNoMark) {
		return err
	}
	return printRemains(w, r)
}

// mayGiveUp returns why a job may still run, or be cleaned up. Of another host's runner
// nothing is known but when it wrote last.
func mayGiveUp(r journal.Record, here bool, now time.Time) error {
	owner, known := r.Owner()
	gone := known && here && owner.Gone()
	if !here {
		gone = now.Sub(r.Last()) > longestJob
	}
	err := r.Abandoned(gone, now)
	if err != nil && !here && !r.Running {
		err = errors.New("its host may still run it: wait for the day after its time")
	}
	return err
}

// printRemains prints what nothing removes any more.
func printRemains(w io.Writer, r journal.Record) error {
	_, err := fmt.Fprintf(w, "%s: its record has ended, and nothing was removed; it may have left:\n", title(r))
	settled, _ := r.Find(journal.Settled)
	batch, _ := r.Find(journal.Batch)
	for _, line := range []struct{ what, text string }{
		{"build directory", settled.Context.Builds},
		{"scripts and logs", settled.Context.Scripts},
		{batch.Context.System + " job", batch.Context.BatchID},
	} {
		if line.text != "" {
			_, werr := fmt.Fprintf(w, "  %s %s\n", line.what, job.Printable(line.text))
			err = errors.Join(err, werr)
		}
	}
	return err
}
