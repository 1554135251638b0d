package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
)

// State is the state of a live job.
type State string

// The states.
const (
	Waiting State = "waiting" // its config stage waits to be admitted
	Running State = "running" // a stage runs
	Between State = "between" // the runner is alive and between two stages
	Quiet   State = "quiet"   // as between, for a long time
	Ghost   State = "ghost"   // no stage runs, no runner will start one, and something may be left
	Overdue State = "overdue" // a stage runs after the job's timeout
	Unread  State = "unread"  // the job's file cannot be read
)

// States are all of them.
func States() []State { return []State{Waiting, Running, Between, Quiet, Overdue, Ghost, Unread} }

// quietAfter is the time between two stages after which an administrator should check
// the job. A retried get_sources waits up to 5 minutes.
const quietAfter = 15 * time.Minute

// StateOf returns the state for a record, whether the runner that owns the job has
// certainly ended, and the time.
func StateOf(r Record, ownerGone bool, now time.Time) State {
	late := false
	if granted, _ := r.Find(Granted); granted.Context.Until != 0 {
		late = now.Unix() > granted.Context.Until
	}
	switch {
	case r.Unread != nil:
		return Unread
	case r.Waiting:
		return Waiting
	case r.Running && late:
		return Overdue
	case r.Running:
		return Running
	case ownerGone || late || r.configKilled(now) || r.cleanupFailed():
		return Ghost
	case now.Sub(r.Last()) > quietAfter:
		return Quiet
	}
	return Between
}

const (
	// configRetry is how long a runner may take to repeat a config stage.
	configRetry = time.Minute
	// certainlyLate is how long after its time a job is given up although its runner
	// lives: longer than any clock is set forward by mistake and not noticed.
	certainlyLate = 24 * time.Hour
)

// configKilled reports whether the job's config stage was killed, or did not come to its
// end, and was not repeated: its runner has no state for another stage.
func (r Record) configKilled(now time.Time) bool {
	if now.Sub(r.Last()) < configRetry {
		return false
	}
	_, settled := r.Find(Settled)
	return !settled
}

// cleanupFailed reports whether the job's cleanup stage was killed or failed, if no stage
// runs: its runner calls no other, and a cleanup that succeeds ends the record.
func (r Record) cleanupFailed() bool {
	last, _ := r.Find(Stage)
	return last.Context.Stage == string(job.Cleanup)
}

// reapStage is the stage of the events of a clean-up that did not succeed.
const reapStage = "reap"

// Unreaped is the event of a clean-up that did not succeed.
func Unreaped(at time.Time, kind string, err error) Event {
	return At(at, StageEnd, Context{Stage: reapStage, Exit: kind, Reason: err.Error()})
}

// Unsettled is why the last clean-up did not succeed, "" if there was none.
func (r Record) Unsettled() string {
	if e, _ := r.Find(StageEnd); e.Context.Stage == reapStage {
		return e.Context.Reason
	}
	return ""
}

// Owner is the runner that has the job; ok is false where the journal does not name it.
func (r Record) Owner() (p proctree.Process, ok bool) {
	e, _ := r.Find(Granted)
	if e.Context.Owner == nil {
		return p, false
	}
	return *e.Context.Owner, true
}

// Abandoned returns nil if nothing will clean up after the job any more, so that another
// process may, and why not otherwise.
func (r Record) Abandoned(ownerGone bool, now time.Time) error {
	granted, _ := r.Find(Granted)
	until := time.Unix(granted.Context.Until, 0)
	switch {
	case r.Running:
		return errInUse
	case ownerGone || r.configKilled(now) || r.cleanupFailed():
		return nil
	case granted.Context.Until != 0 && now.After(until.Add(certainlyLate)):
		return nil
	case granted.Context.Until != 0 && now.After(until):
		return errors.New("its time is over, but its runner lives and may still clean up; it is cleaned up a day after its time, or when the runner has ended")
	}
	return errors.New("its runner lives")
}

// errInUse reports that a stage of the job runs, or that another process cleans up
// after it.
var errInUse = errors.New("a stage of it runs")

// ErrTaken reports that another process cleans up after the job of a stage that begins.
var ErrTaken = errors.New("another process cleans up after the job")

// TakeOver opens the file of a job for this process alone, with the events so far, where may
// returns nil for them. It judges before the file is locked, which keeps out the job's next
// stage, and again then. The error is errInUse while another process has the file, and
// fs.ErrNotExist where there is none.
func (j *Journal) TakeOver(k Key, may func(Record) error) (*Live, Record, error) {
	file, err := j.file(liveDir, k.String(), 0)
	if err != nil {
		return nil, Record{}, err
	}
	r, err := recordIn(k, file)
	if err == nil {
		err = may(r)
	}
	if err == nil {
		err = j.lockAlone(k, file)
	}
	if err == nil {
		r, err = recordIn(k, file)
	}
	if err == nil {
		err = may(r)
	}
	if err != nil {
		file.Close()
		return nil, Record{}, err
	}
	return &Live{j, k, file}, r, nil
}

// lockAlone locks the file of a job for this process alone.
func (j *Journal) lockAlone(k Key, file *os.File) error {
	if err := lock(file, unix.F_WRLCK, errInUse); err != nil {
		return err
	}
	if !j.has(k, file) {
		return fs.ErrNotExist // another process was faster
	}
	return nil
}

// recordIn is what the open file of a live job has.
func recordIn(k Key, file *os.File) (Record, error) {
	info, err := file.Stat()
	if err != nil {
		return Record{}, fmt.Errorf("cannot examine %s: %w", file.Name(), err)
	}
	text, err := liveText(file)
	if err != nil {
		return Record{}, err
	}
	return Record{Key: k, Events: parseEvents(text), Live: true, Running: isLocked(file), Changed: info.ModTime()}, nil
}

// has reports whether the open file still is the job's.
func (j *Journal) has(k Key, file *os.File) bool {
	named, err := j.file(liveDir, k.String(), 0)
	if err != nil {
		return false
	}
	defer named.Close()
	a, _ := file.Stat() // nil is the same as no file
	b, _ := named.Stat()
	return os.SameFile(a, b)
}

// Keys returns the keys of the live jobs with a number in a project. A host that serves
// two GitLab servers can have several.
func (j *Journal) Keys(project, id job.ID) ([]Key, error) {
	keys, err := j.keysIn(liveDir)
	return slices.DeleteFunc(keys, func(k Key) bool { return k.Project != project || k.Job != id }), err
}
