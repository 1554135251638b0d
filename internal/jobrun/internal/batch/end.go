package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

const (
	// endPatience is how long ending a job is tried.
	endPatience = time.Minute
	// lostPatience is the same when nobody waits for us any more.
	lostPatience = 3 * time.Minute
	// unseen is how long a submission of unknown id has to be absent: the
	// controller may still be about to take it in.
	unseen = 2 * time.Second
)

// stopJob ends the job in good order: its script is told and has its time, then
// it is cancelled.
func (r *run) stopJob() error {
	if r.began || !r.dir().claim() {
		r.tellScript()
	}
	r.unsure = r.end(r.stop.Abort)
	size := int64(-1)
	if mark, ok := r.dir().ended(); ok {
		r.mark, size = &mark, mark.size
	}
	if err := r.drain(size); err != nil {
		return err
	}
	return stopped(r.mark)
}

// tellScript sends TERM to the script and its children and waits for the mark.
func (r *run) tellScript() {
	signaller, ok := r.Scheduler.(scheduler.Signaller)
	if !ok || closed(r.stop.Abort) {
		return
	}
	ctx, cancel := until(r.stop.Abort)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, r.Settings.CancelGrace)
	defer cancel()
	r.Voice.Note("telling %s job %s to end", r.Scheduler.Name(), r.id)
	go r.run(ctx, signaller.Signal(r.id), cancelLimit)
	for {
		select {
		case <-r.eyes.ended:
			return
		case <-ctx.Done():
			return
		case r.state = <-r.poller.states:
			if r.state.Phase == scheduler.Done {
				return
			}
		case r.start = <-r.eyes.started:
		case <-r.eyes.failed: //nolint:errcheck // a log that cannot be followed does not hold up the end
		}
	}
}

// stopped is the outcome of a job that was told to end: never a success.
func stopped(mark *end) error {
	code := 128 + int(unix.SIGTERM)
	if mark != nil && mark.code != 0 {
		code = mark.code
	}
	f := failure.Exit(code)
	f.Public = "the job was stopped"
	return f
}

// end cancels the submission and asks until it is known to be over. The error
// says that it may not be.
func (r *run) end(lost <-chan struct{}) error {
	patience := endPatience
	if closed(lost) {
		patience = lostPatience
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.Task.end(ctx, r.id)
}

// end takes the claim, so that a job which has not begun never does, cancels the
// job, by name while no id is known, and confirms.
func (t Task) end(ctx context.Context, id scheduler.ID) error {
	return t.endWhen(ctx, id, unseen)
}

// endWhen is end where a job of the name has to be absent for so long.
func (t Task) endWhen(ctx context.Context, id scheduler.ID, absent time.Duration) error {
	t.dir().claim()
	e := ending{Task: t, ids: map[scheduler.ID]scheduler.State{}}
	begin := time.Now()
	for pause := shortPoll; ; pause = min(2*pause, longPoll) {
		over, err := e.once(ctx, id)
		if over && (id != "" || time.Since(begin) >= absent) {
			return nil
		}
		if errors.Is(err, errNotFound) || !sleep(ctx, pause) {
			return t.notEnded(id, err)
		}
	}
}

// ending is a submission that is being ended; ids are its jobs that were told to
// end, with their last states.
type ending struct {
	Task
	ids map[scheduler.ID]scheduler.State
}

func (t Task) notEnded(id scheduler.ID, err error) error {
	name := t.Name
	if id != "" {
		name = string(id)
	}
	if err == nil {
		err = fmt.Errorf("it is still ending")
	}
	return fmt.Errorf("cannot see %s job %s ended: %w", t.Scheduler.Name(), name, err)
}

// once asks, cancels what is there and reports whether all is over.
func (e *ending) once(ctx context.Context, id scheduler.ID) (over bool, err error) {
	if id != "" {
		return e.cancel(ctx, id)
	}
	found, err := e.find(ctx)
	if err != nil {
		return false, e.cancelName(ctx, err)
	}
	over = true
	for _, f := range found {
		if f.State.Phase == scheduler.Done {
			continue
		}
		gone, ferr := e.cancel(ctx, f.ID)
		over = over && gone
		err = ferr
	}
	return over, err
}

// cancelName cancels by name where not even a list of jobs can be had.
func (t Task) cancelName(ctx context.Context, why error) error {
	if c, ok := t.Scheduler.(scheduler.NameCanceller); ok {
		t.run(ctx, c.CancelName(t.User, t.Name), cancelLimit)
	}
	return why
}

// cancel tells a job to end, unless it is at it, and asks what became of it. It
// does not ask first: a controller may take its time to answer, but acts on what
// it was told.
func (e *ending) cancel(ctx context.Context, id scheduler.ID) (over bool, err error) {
	var reply scheduler.Reply
	if e.ids[id].Phase != scheduler.Completing {
		reply = e.run(ctx, e.Scheduler.Cancel(id), cancelLimit)
	}
	s := e.ask(ctx, id)
	e.ids[id] = s
	switch {
	case s.Finished():
		return true, nil
	case reply.Err != nil:
		return false, reply.Err
	case reply.Code != 0:
		return false, errors.New(clue(reply, scheduler.MessageOf(reply)))
	case s.Phase == scheduler.Unknown:
		return false, fmt.Errorf("%s does not answer", e.Scheduler.Name())
	}
	return false, nil
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
