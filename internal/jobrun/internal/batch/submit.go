package batch

import (
	"context"
	"errors"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

const (
	// submitPatience is how long a controller that cannot be reached is tried
	// again, and how long a submission that may have been taken is looked for.
	submitPatience = 5 * time.Minute
	// absentLimit is the same when the controller answers that it has no such
	// job: it may only just be taking it in.
	absentLimit = 20 * time.Second
	// lookDelay is the first pause between two looks for a submission.
	lookDelay = time.Second
	// fullDelay is the first pause before a full limit is tried again.
	fullDelay = 5 * time.Second
	// silence is how long a submission may take before the job's author is told.
	silence = 10 * time.Second
)

// unsent is a failure after which the batch system certainly has no such job.
type unsent struct{ error }

func (u unsent) Unwrap() error { return u.error }

// inFlight is how long a submission that is under way may still take when the
// job is told to stop: one that is cut off leaves it open whether it arrived.
const inFlight = 15 * time.Second

// flight gives the context for submitting: it ends some time after stop.
func flight(stop Stop) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-stop.Terminate:
			sleep(ctx, inFlight)
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// submission is a job on its way to the batch system.
type submission struct {
	Task
	command scheduler.Command
	args    []scheduler.Argument
	begun   time.Time

	unreached time.Time // since when the request cannot be sent, zero for never
	pause     time.Duration
	waiting   waiting // for a limit
}

// submission prepares the command for the arguments.
func (t Task) submission(args []scheduler.Argument, begun time.Time) *submission {
	command := t.Scheduler.Submit(scheduler.Spec{
		Name: t.Name, Script: t.dir().path(wrapperFile), Output: t.dir().path(logFile), Dir: t.WorkDir,
	}, scheduler.Words(args))
	return &submission{Task: t, command: command, args: args, begun: begun}
}

// send hands the job over, exactly once. A request that certainly was not taken is
// sent again while that has a point; one of which nothing is known is looked up by
// its name, and never sent again: a controller may take it in long after its client
// gave up.
func (s *submission) send(ctx, stop context.Context) (scheduler.ID, error) {
	for {
		reply := s.call(ctx)
		answer := s.Scheduler.ParseSubmit(reply)
		switch {
		case answer.Verdict == scheduler.Accepted:
			return answer.ID, nil
		case answer.Verdict == scheduler.Refused:
			return "", unsent{s.refused(answer.Message)}
		case answer.Verdict == scheduler.Uncertain && !errors.As(reply.Err, &notStarted{}):
			return s.lookUp(stop, reply, answer.Message)
		}
		pause, err := s.again(reply, answer)
		if err == nil && !sleep(stop, pause) {
			err = errStopped
		}
		if err != nil {
			return "", unsent{err}
		}
	}
}

var errStopped = errors.New("the job was told to stop")

// again decides how long to wait before the request is sent again.
func (s *submission) again(reply scheduler.Reply, answer scheduler.Submission) (time.Duration, error) {
	var none notStarted
	switch {
	case answer.Verdict == scheduler.Full:
		return s.full(answer.Message)
	case answer.Verdict == scheduler.Unreachable:
		return s.unreachable(s.Scheduler.Name()+" cannot be reached", answer.Message)
	case errors.As(reply.Err, &none) && none.later:
		return s.unreachable("no process can be started", scheduler.Message{Lead: none.Error()})
	}
	return 0, failure.Systemf("cannot submit the job: %w", reply.Err)
}

// call runs the submit program once. One that takes long is told of.
func (s *submission) call(ctx context.Context) scheduler.Reply {
	late := time.AfterFunc(silence, func() {
		s.Voice.Note("waiting for %s to take the job; %s has not ended for %v", s.Scheduler.Name(), s.command.Argv[0], silence)
	})
	defer late.Stop()
	return s.run(ctx, s.command, submitLimit)
}

// unreachable decides how long to wait before a request that could not be sent is
// sent again.
func (s *submission) unreachable(what string, why scheduler.Message) (time.Duration, error) {
	now := time.Now()
	switch {
	case s.unreached.IsZero():
		s.unreached, s.pause = now, lookDelay
		s.show(why)
		s.Voice.Note("%s (%s); it is tried again for %v", what, why.Lead, submitPatience)
	case now.Sub(s.unreached) >= submitPatience:
		return 0, failure.Systemf("cannot submit the job: %s: %s", what, why.Lead)
	default:
		s.pause = min(2*s.pause, s.Settings.CommandDelay)
	}
	return s.pause, nil
}

// full decides how long to wait before a request is sent again that met a limit on
// submitted jobs. It waits as long as a job may wait in the queue.
func (s *submission) full(message scheduler.Message) (time.Duration, error) {
	now, limit := time.Now(), s.Settings.PendingTimeout
	if limit > 0 && now.Sub(s.begun) >= limit {
		s.show(message)
		return 0, failure.Buildf("%s took no more jobs of yours for %v: %s", s.Scheduler.Name(), limit, message.Lead).
			WithHint("let fewer jobs be submitted at a time, as with resource_group or a smaller parallel, or end jobs of yours in the queue")
	}
	patience := "this job waits for the others to end"
	if limit > 0 {
		patience += ", up to " + limit.String()
	}
	if s.waiting.due(message.Lead, now) {
		s.Voice.Note("%s takes no more jobs of yours now: %s; %s", s.Scheduler.Name(), message.Lead, patience)
	}
	s.unreached = time.Time{}
	s.pause = min(max(2*s.pause, fullDelay), max(s.Settings.CommandDelay, fullDelay))
	if left := limit - now.Sub(s.begun); limit > 0 {
		return min(jitter(s.pause), left), nil
	}
	return jitter(s.pause), nil
}

// lookUp finds out whether a submission was taken, by its name, or from the
// claim: a job that runs tells so itself.
func (s *submission) lookUp(ctx context.Context, reply scheduler.Reply, message scheduler.Message) (scheduler.ID, error) {
	s.Voice.Note("%s gave no clear answer to the submission (%s); looking for the job by its name", s.Scheduler.Name(), clue(reply, message))
	var absent time.Time
	end := time.Now().Add(submitPatience)
	for pause := lookDelay; ; pause = min(2*pause, s.Settings.CommandDelay) {
		found, err := s.find(ctx)
		switch {
		case len(found) > 0:
			return found[0].ID, nil
		case err != nil:
			absent = time.Time{}
		case absent.IsZero():
			absent = time.Now()
		case time.Since(absent) >= absentLimit:
			s.show(message)
			return "", failure.Systemf("%s did not take the job (%s)", s.Scheduler.Name(), clue(reply, message))
		}
		if time.Now().After(end) || !sleep(ctx, pause) {
			s.show(message)
			return "", failure.Systemf("it is not known whether %s took the job (%s)", s.Scheduler.Name(), clue(reply, message))
		}
	}
}

// find asks for the submission by its name.
func (t Task) find(ctx context.Context) (ours []scheduler.Found, err error) {
	finder, ok := t.Scheduler.(scheduler.Finder)
	if !ok {
		return nil, errors.New("it cannot look jobs up by name")
	}
	all, err := finder.ParseFind(t.run(ctx, finder.Find(t.User, t.Name), queryLimit))
	for _, f := range all {
		switch owned, asks := finder.(scheduler.Owned); {
		case f.Name == t.Name:
			ours = append(ours, f)
		case f.Name == "" && asks:
			reply := t.run(ctx, owned.Owner(f.ID), queryLimit)
			user, name := owned.ParseOwner(reply)
			if reply.Err != nil {
				err = reply.Err
			} else if user == t.User && name == t.Name {
				ours = append(ours, f)
			}
		}
	}
	return ours, err
}

// run runs one of the batch system's commands within a limit of its own.
func (t Task) run(ctx context.Context, c scheduler.Command, limit time.Duration) scheduler.Reply {
	if ctx.Err() != nil {
		return scheduler.Reply{Err: errTooLong}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return t.Commands.Run(ctx, c)
}

// sleep waits; it returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
