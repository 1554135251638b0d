package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

const (
	// confirmLimit bounds the tries to cancel a job and to confirm its end.
	confirmLimit = time.Minute
	// abortedConfirmLimit is the same after an abort, when no process waits for the
	// result.
	abortedConfirmLimit = 3 * time.Minute
	// absenceTime is how long a submission of unknown id must be absent from the
	// queue: the controller may still be processing it.
	absenceTime = 2 * time.Second
)

// terminate ends the job in good order: it sends a signal to the script and cancels
// the job after a grace period.
func (r *submittedJob) terminate() error {
	if r.started || !r.dir().takeStartLock() {
		r.signalScript()
	}
	r.cancelErr = r.cancel()
	size := int64(-1)
	if status, ok := r.dir().readEnd(); ok {
		r.endStatus, size = &status, status.size
	}
	if err := r.copyRest(size); err != nil {
		return err
	}
	return stoppedOutcome(r.endStatus)
}

// signalScript sends TERM to the script and its children and waits for their end.
func (r *submittedJob) signalScript() {
	signaller, ok := r.Scheduler.(scheduler.Signaller)
	if !ok || r.id == "" || r.stop.Aborting() {
		return
	}
	ctx, cancel := until(r.stop.Abort)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, r.Settings.CancelGrace)
	defer cancel()
	r.Messages.Note("sending SIGTERM to %s job %s", r.Scheduler.Name(), r.id)
	go r.runCommand(ctx, signaller.Signal(r.id), cancelLimit)
	for {
		select {
		case <-r.watcher.ended:
			return
		case <-ctx.Done():
			if !r.stop.Aborting() {
				r.Messages.Note("the script of %s job %s has not ended within %v of SIGTERM; the job is cancelled, which kills it", r.Scheduler.Name(), r.id, r.Settings.CancelGrace)
			}
			return
		case r.state = <-r.poller.states:
			if r.state.Phase == scheduler.Done {
				return
			}
		case r.startStatus = <-r.watcher.started:
		case <-r.watcher.failed: // an unreadable log must not delay the end
		}
	}
}

// stoppedOutcome is the outcome of a job that was stopped: never a success.
func stoppedOutcome(status *endStatus) error {
	code := 128 + int(unix.SIGTERM)
	if status != nil && status.code != 0 {
		code = status.code
	}
	return failure.Stopped(code, "")
}

// cancel cancels the submission and confirms its end. An error means that the job may
// still run.
func (r *submittedJob) cancel() error {
	limit := confirmLimit
	if r.stop.Aborting() {
		limit = abortedConfirmLimit
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return r.Task.cancel(ctx, r.id)
}

// cancel takes the start lock, so that a job which has not started never does, cancels
// the job, by name while the id is unknown, and confirms its end.
func (t Task) cancel(ctx context.Context, id scheduler.ID) error {
	return t.cancelAndConfirm(ctx, id, absenceTime)
}

// cancelAndConfirm is cancel for a job of unknown id that must be absent from the
// queue for the time absent.
func (t Task) cancelAndConfirm(ctx context.Context, id scheduler.ID, absent time.Duration) error {
	t.dir().takeStartLock()
	c := cancellation{Task: t, lastStates: map[scheduler.ID]scheduler.State{}}
	begin := time.Now()
	for pause := shortPoll; ; pause = min(2*pause, longPoll) {
		ended, err := c.attempt(ctx, id)
		if ended && (id != "" || time.Since(begin) >= absent) {
			return nil
		}
		if errors.Is(err, errNotFound) || !sleep(ctx, pause) {
			return t.unconfirmed(id, err)
		}
	}
}

// cancellation is a submission that is being cancelled; lastStates are the states of
// its jobs after they were cancelled.
type cancellation struct {
	Task
	lastStates map[scheduler.ID]scheduler.State
	byName     bool // a job that the list does not have was cancelled by its name
}

func (t Task) unconfirmed(id scheduler.ID, err error) error {
	name := t.Name
	if id != "" {
		name = string(id)
	}
	if err == nil {
		err = fmt.Errorf("it is still ending")
	}
	return fmt.Errorf("cannot confirm that %s job %s ended: %w", t.Scheduler.Name(), name, err)
}

// attempt cancels the jobs that still run and reports whether all have ended.
func (c *cancellation) attempt(ctx context.Context, id scheduler.ID) (ended bool, err error) {
	if id != "" {
		return c.cancelOne(ctx, id)
	}
	found, err := c.find(ctx)
	if err != nil {
		return false, c.cancelByName(ctx, err)
	}
	if len(found) == 0 && !c.byName {
		c.byName = true
		_ = c.cancelByName(ctx, nil)
	}
	ended = true
	for _, f := range found {
		if f.State.Phase == scheduler.Done {
			continue
		}
		finished, ferr := c.cancelOne(ctx, f.ID)
		ended = ended && finished
		err = cmp.Or(err, ferr)
	}
	return ended, err
}

// cancelByName cancels by name when the list of jobs cannot be read, or does not have the
// job: a site or a user may have configured what the list leaves out.
func (t Task) cancelByName(ctx context.Context, why error) error {
	if c, ok := t.Scheduler.(scheduler.NameCanceller); ok {
		t.runCommand(ctx, c.CancelName(t.User, t.Name), cancelLimit)
	}
	return why
}

// cancelOne cancels a job, unless it is already completing, and queries its state. It
// does not query first: a slow controller still acts on the cancel command.
func (c *cancellation) cancelOne(ctx context.Context, id scheduler.ID) (ended bool, err error) {
	var reply scheduler.Reply
	if c.lastStates[id].Phase != scheduler.Completing {
		reply = c.runCommand(ctx, c.Scheduler.Cancel(id), cancelLimit)
	}
	s := c.queryState(ctx, id)
	c.lastStates[id] = s
	switch {
	case s.Finished():
		return true, nil
	case reply.Err != nil:
		return false, reply.Err
	case reply.Code != 0:
		return false, errors.New(explain(reply, scheduler.MessageOf(reply)))
	case s.Phase == scheduler.Unknown:
		return false, fmt.Errorf("%s does not respond", c.Scheduler.Name())
	}
	return false, nil
}
