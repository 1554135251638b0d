package batch

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

const (
	// sweepLimit bounds what a new job spends on what others left behind, and
	// strayLimit what it spends on one of them.
	sweepLimit = 20 * time.Second
	strayLimit = 8 * time.Second
	// cleanupLimit bounds the cleanup stage, of which GitLab waits for the end.
	cleanupLimit = 2 * time.Minute
)

// Cleanup ends what is left of the CI job's submissions, after whatever became
// of the stage that made them.
func (t Task) Cleanup() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupLimit)
	defer cancel()
	var errs []error
	for _, l := range leftovers(t.Scripts.String()) {
		errs = append(errs, t.endLeftover(ctx, l))
	}
	return errors.Join(errs...)
}

// Sweep ends the submissions of earlier CI jobs of this user and runner whose
// process is dead: their cleanup never came, or could not end them.
func (t Task) Sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	for _, l := range leftovers(filepath.Join(filepath.Dir(t.Scripts.String()), "*")) {
		if l.Host != t.Host || l.Scheduler != t.Scheduler.Name() || !l.Process.Gone() {
			continue
		}
		if err := t.endStray(ctx, l); err != nil {
			t.Voice.Warn("%s, left behind by an earlier job of yours: %v", l.Name, err)
			continue
		}
		t.Voice.Note("ended the %s job %s, which an earlier job of yours had left behind", t.Scheduler.Name(), l.Name)
	}
}

func (t Task) endStray(ctx context.Context, l leftover) error {
	ctx, cancel := context.WithTimeout(ctx, strayLimit)
	defer cancel()
	return t.endLeftover(ctx, l)
}

// endLeftover ends a recorded submission and takes its files away; a record that
// cannot be settled stays for the next attempt. The job is found by its name: its
// number may since have been given to another one.
func (t Task) endLeftover(ctx context.Context, l leftover) error {
	if l.Scheduler != t.Scheduler.Name() {
		return fmt.Errorf("%s was submitted to %s, which is not this resource's batch system any more", l.Name, l.Scheduler)
	}
	scripts, err := job.ParseAbsPath(filepath.Dir(string(l.dir)))
	if err != nil {
		return err
	}
	t.Name, t.Scripts = l.Name, scripts
	if err := t.endWhen(ctx, t.handle(l), l.absence()); err != nil {
		return err
	}
	return l.dir.remove(t.Retain)
}

// handle is the id by which a leftover is ended, "" for its name.
func (t Task) handle(l leftover) scheduler.ID {
	if _, ok := t.Scheduler.(scheduler.Finder); ok {
		return ""
	}
	return l.ID
}

// absence is how long no job of the name has to be seen. One whose id is known
// was on the list before.
func (l leftover) absence() time.Duration {
	if l.ID != "" {
		return 0
	}
	return unseen
}
