package batch

import (
	"context"
	"errors"
	"strings"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
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
		case <-stop.Asked:
			sleep(ctx, inFlight)
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// submit hands the job over, exactly once. A submission that was certainly never
// sent is tried again; one of which nothing is known is looked up by its name,
// and never sent again: a controller may take it in long after its client gave up.
func (t Task) submit(ctx, stop context.Context, args []string) (scheduler.ID, error) {
	command := t.Scheduler.Submit(scheduler.Spec{
		Name: t.Name, Script: t.dir().path(wrapperFile), Output: t.dir().path(logFile), Dir: t.WorkDir,
	}, args)
	late := time.AfterFunc(silence, func() {
		t.Voice.Note("waiting for %s to take the job; %s has said nothing for %s", t.Scheduler.Name(), command.Argv[0], silence)
	})
	defer late.Stop()
	pause, told := lookDelay, false
	for end := time.Now().Add(submitPatience); ; pause = min(2*pause, t.Settings.CommandDelay) {
		reply := t.run(ctx, command, submitLimit)
		s := t.Scheduler.ParseSubmit(reply)
		if s.Verdict != scheduler.Unreachable {
			return t.answered(stop, end, reply, s)
		}
		if time.Now().After(end) || !sleep(stop, pause) {
			return "", unsent{failure.Systemf("cannot submit the job: %s cannot be reached: %s", t.Scheduler.Name(), lastLine(s.Text))}
		}
		late.Stop()
		if !told {
			t.Voice.Note("%s cannot be reached (%s); it is tried again for %s", t.Scheduler.Name(), lastLine(s.Text), submitPatience)
			told = true
		}
	}
}

// answered is what follows from an answer that was more than none.
func (t Task) answered(stop context.Context, end time.Time, reply scheduler.Reply, s scheduler.Submission) (scheduler.ID, error) {
	switch {
	case s.Verdict == scheduler.Accepted:
		return s.ID, nil
	case s.Verdict == scheduler.Refused:
		return "", unsent{t.refused(s.Text)}
	case errors.Is(reply.Err, errNotFound):
		return "", unsent{failure.Systemf("cannot submit the job: %w", reply.Err)}
	}
	return t.lookUp(stop, end, reply, s.Text)
}

// refused is the outcome of a request that the batch system read and declined.
func (t Task) refused(said string) error {
	return failure.Buildf("%s refused the job: %s", t.Scheduler.Name(), lastLine(said)).
		WithHint("look at SCHEDULER_PARAMETERS")
}

// lookUp finds out whether a submission was taken, by its name, or from the
// claim: a job that runs tells so itself.
func (t Task) lookUp(ctx context.Context, end time.Time, reply scheduler.Reply, said string) (scheduler.ID, error) {
	t.Voice.Note("%s gave no clear answer to the submission (%s); looking for the job by its name", t.Scheduler.Name(), clue(reply, said))
	var absent time.Time
	for pause := lookDelay; ; pause = min(2*pause, t.Settings.CommandDelay) {
		found, err := t.find(ctx)
		switch {
		case len(found) > 0:
			return found[0].ID, nil
		case err != nil:
			absent = time.Time{}
		case absent.IsZero():
			absent = time.Now()
		case time.Since(absent) >= absentLimit:
			return "", failure.Systemf("%s did not take the job (%s)", t.Scheduler.Name(), clue(reply, said))
		}
		if time.Now().After(end) || !sleep(ctx, pause) {
			return "", failure.Systemf("%s does not say whether it took the job (%s)", t.Scheduler.Name(), clue(reply, said))
		}
	}
}

// find asks for the submission by its name.
func (t Task) find(ctx context.Context) ([]scheduler.Found, error) {
	finder, ok := t.Scheduler.(scheduler.Finder)
	if !ok {
		return nil, errors.New("it cannot look jobs up by name")
	}
	all, err := finder.ParseFind(t.run(ctx, finder.Find(t.User, t.Name), queryLimit))
	var ours []scheduler.Found
	for _, f := range all {
		// Some lists have what was asked for and no names.
		if f.Name == t.Name || f.Name == "" {
			ours = append(ours, f)
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

func clue(r scheduler.Reply, said string) string {
	if r.Err != nil {
		return r.Err.Error()
	}
	if said == "" {
		return "it said nothing"
	}
	return lastLine(said)
}

// lastLine is the line of a message that says why; the ones before it are often
// the site's banner. The program's name in front is left out.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	line := lines[len(lines)-1]
	if strings.HasPrefix(line, "Try ") && len(lines) > 1 {
		line = lines[len(lines)-2]
	}
	for _, level := range []string{": error: ", ": fatal: "} {
		if _, rest, ok := strings.Cut(line, level); ok {
			line = rest
		}
	}
	return job.Cut(line, 500)
}
