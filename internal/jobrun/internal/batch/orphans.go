package batch

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/proctree"
)

// record is what a later process needs to cancel the submission of a dead one. It is
// written before the submission, again with the id, and removed when the job has
// certainly ended.
type record struct {
	Name string `json:"name"`
	// Scheduler is the batch system of the submission: in another one its ids are
	// unknown, or those of other jobs.
	Scheduler string `json:"scheduler"`
	// Clusters are those in which the job is searched for, "" for the local one.
	Clusters string           `json:"clusters,omitempty"`
	ID       scheduler.ID     `json:"id,omitempty"`
	Host     string           `json:"host"`
	Process  proctree.Process `json:"process"`
	Time     time.Time        `json:"time"`
}

// write replaces the record atomically.
func (d directory) write(r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.path(recordFile)+".new", text, 0o600); err != nil {
		return d.prepareError(err)
	}
	if err := os.Rename(d.path(recordFile)+".new", d.path(recordFile)); err != nil {
		return d.prepareError(err)
	}
	return nil
}

// orphan is a recorded submission whose end was not confirmed.
type orphan struct {
	dir directory
	record
}

// findOrphans lists the submissions that still have a record, in a CI job's directory.
func findOrphans(scripts string) (found []orphan) {
	entries, _ := os.ReadDir(scripts)
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		o := orphan{dir: directory(filepath.Join(scripts, e.Name()))}
		text, err := readStatusFile(o.dir.path(recordFile))
		if err != nil || json.Unmarshal([]byte(text), &o.record) != nil || o.Name != e.Name() {
			continue
		}
		found = append(found, o)
	}
	return found
}

// findAll lists them in the directories of all CI jobs of a runner.
func findAll(runner string) (found []orphan) {
	jobs, _ := os.ReadDir(runner)
	for _, e := range jobs {
		if e.IsDir() {
			found = append(found, findOrphans(filepath.Join(runner, e.Name()))...)
		}
	}
	return found
}

// HasOrphans reports whether a CI job's directory has the record of a submission
// whose end was not confirmed.
func HasOrphans(scripts job.AbsPath) bool { return len(findOrphans(scripts.String())) > 0 }

// Unreachable returns the error of a CI job's directory with submissions where this resource
// submits nothing any more: they may run, and only their record names them.
func Unreachable(scripts job.AbsPath) error {
	var errs []error
	for _, o := range findOrphans(scripts.String()) {
		errs = append(errs, o.otherSystem())
	}
	return errors.Join(errs...)
}

func (o orphan) otherSystem() error {
	return failure.Systemf("%s was submitted to %s, which is no longer this resource's batch system", o.Name, o.Scheduler)
}

const (
	// orphansLimit bounds the time that a new job spends on all orphans, and
	// strayLimit what it spends on one of them.
	orphansLimit = 20 * time.Second
	orphanLimit  = 8 * time.Second
	// cleanupLimit bounds the cleanup stage: GitLab waits for its end.
	cleanupLimit = 2 * time.Minute
)

// Cleanup cancels what is left of the CI job's submissions, however the stage that
// made them ended.
func (t Task) Cleanup() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupLimit)
	defer cancel()
	var errs []error
	for _, o := range findOrphans(t.Scripts.String()) {
		errs = append(errs, t.cancelOrphan(ctx, o))
	}
	return errors.Join(errs...)
}

// CancelOrphans cancels the submissions of earlier CI jobs of this user and runner
// whose process is dead: their cleanup stage did not run, or failed.
func (t Task) CancelOrphans(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, orphansLimit)
	defer cancel()
	for _, o := range findAll(filepath.Dir(t.Scripts.String())) {
		if o.Host != t.Host || o.Scheduler != t.Scheduler.Name() || !o.Process.Gone() {
			continue
		}
		if err := t.cancelOrphanWithin(ctx, o); err != nil {
			t.Messages.Warn("%s, left behind by an earlier job of yours: %v", o.Name, err)
			continue
		}
		t.Messages.Note("cancelled the %s job %s, left behind by an earlier job of yours", t.Scheduler.Name(), o.Name)
	}
}

func (t Task) cancelOrphanWithin(ctx context.Context, o orphan) error {
	ctx, cancel := context.WithTimeout(ctx, orphanLimit)
	defer cancel()
	return t.cancelOrphan(ctx, o)
}

// cancelOrphan cancels a recorded submission and removes its files; the record stays
// for the next attempt when the end cannot be confirmed. The job is found by its
// name: its number may since belong to another job.
func (t Task) cancelOrphan(ctx context.Context, o orphan) error {
	if o.Scheduler != t.Scheduler.Name() {
		return o.otherSystem()
	}
	scripts, err := job.ParseAbsPath(filepath.Dir(string(o.dir)))
	if err != nil {
		return err
	}
	t.Name, t.Scripts, t.Scheduler = o.Name, scripts, inClusters(t.Scheduler, o.Clusters)
	if err := t.cancelAndConfirm(ctx, t.cancelID(o), o.requiredAbsence()); err != nil {
		return err
	}
	return o.dir.remove(t.Retain)
}

// clusters are those of a submission, "" for the local one.
func clusters(s scheduler.Scheduler, args []scheduler.Argument, id scheduler.ID) string {
	if c, ok := s.(scheduler.Clustered); ok {
		return c.Clusters(args, id)
	}
	return ""
}

// inClusters is the batch system whose jobs are in these clusters.
func inClusters(s scheduler.Scheduler, names string) scheduler.Scheduler {
	if c, ok := s.(scheduler.Clustered); ok {
		return c.In(names)
	}
	return s
}

// cancelID is the id by which an orphan is cancelled, "" to cancel it by its name.
func (t Task) cancelID(o orphan) scheduler.ID {
	if _, ok := t.Scheduler.(scheduler.Finder); ok {
		return ""
	}
	return o.ID
}

// requiredAbsence is how long no job of that name may be in the queue. A job of known
// id was in the queue before.
func (o orphan) requiredAbsence() time.Duration {
	if o.ID != "" {
		return 0
	}
	return absenceTime
}
