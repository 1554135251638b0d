package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"

	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

const (
	// retryLimit bounds the retries while the controller is unreachable, and the
	// search for a submission that may have been accepted.
	retryLimit = 5 * time.Minute
	// absentLimit bounds the search when the controller replies that it has no such
	// job: it may still be processing the submission.
	absentLimit = 20 * time.Second
	// firstRetryDelay is the first pause between two tries to find or send a
	// submission.
	firstRetryDelay = time.Second
	// firstFullDelay is the first pause after a limit on submitted jobs was reached.
	firstFullDelay = 5 * time.Second
	// slowSubmit is the time after which the job's log reports a slow submission.
	slowSubmit = 10 * time.Second
)

// notAccepted is a failure after which the batch system certainly does not have the
// job.
type notAccepted struct{ error }

func (u notAccepted) Unwrap() error { return u.error }

// submitGrace is how long a running submit command may continue after the request
// to stop: when it is killed, nothing shows whether the submission arrived.
const submitGrace = 15 * time.Second

// submitContext returns the context for submitting: it ends submitGrace after stop.
func submitContext(stop process.Stop) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-stop.Terminate:
			sleep(ctx, submitGrace)
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// submission is a job that is being submitted.
type submission struct {
	Task
	command scheduler.Command
	args    []scheduler.Argument
	started time.Time

	unreachableSince time.Time // zero while requests can be sent
	pause            time.Duration
	notices          noticeTimer // for a limit on submitted jobs
}

// newSubmission builds the submit command.
func (t Task) newSubmission(args []scheduler.Argument, begun time.Time) *submission {
	command := t.Scheduler.Submit(scheduler.Spec{
		Name: t.Name, Script: t.dir().path(wrapperFile), Output: t.dir().path(logFile), Dir: t.WorkDir,
	}, scheduler.Words(args))
	return &submission{Task: t, command: command, args: args, started: begun}
}

// send submits the job exactly once. It retries a request that certainly was not
// accepted, within limits. It searches for a submission of unknown outcome by name
// and never sends it again: a controller may process a request long after its client
// timed out.
func (s *submission) send(ctx, stop context.Context) (scheduler.ID, error) {
	for {
		reply := s.submitOnce(ctx)
		result := s.Scheduler.ParseSubmit(reply)
		switch {
		case result.Outcome == scheduler.Accepted:
			return result.ID, nil
		case result.Outcome == scheduler.Refused:
			return "", notAccepted{s.refusal(result.Message)}
		case result.Outcome == scheduler.Uncertain && !errors.As(reply.Err, &notStarted{}):
			return s.lookUp(stop, reply, result.Message)
		}
		pause, err := s.retryDelay(reply, result)
		if err == nil && !sleep(stop, pause) {
			err = errStopped
		}
		if err != nil {
			return "", notAccepted{err}
		}
	}
}

var errStopped = errors.New("the job was stopped")

// retryDelay returns how long to wait before the request is sent again, or an error
// when no retry is useful.
func (s *submission) retryDelay(reply scheduler.Reply, result scheduler.Submission) (time.Duration, error) {
	var none notStarted
	switch {
	case result.Outcome == scheduler.Full:
		return s.retryFull(result.Message)
	case result.Outcome == scheduler.Unreachable:
		return s.retryUnreachable(s.Scheduler.Name()+" is unreachable", result.Message)
	case errors.As(reply.Err, &none) && none.retry:
		return s.retryUnreachable("cannot start a process", scheduler.Message{Lead: none.Error()})
	}
	return 0, failure.Systemf("cannot submit the job: %w", reply.Err)
}

// submitOnce runs the submit command once. It reports a slow one in the job's log.
func (s *submission) submitOnce(ctx context.Context) scheduler.Reply {
	late := time.AfterFunc(slowSubmit, func() {
		s.Messages.Note("waiting for %s to accept the job; %s has been running for %v", s.Scheduler.Name(), s.command.Argv[0], slowSubmit)
	})
	defer late.Stop()
	return s.runCommand(ctx, s.command, submitLimit)
}

// retryUnreachable is retryDelay for a request that could not be sent.
func (s *submission) retryUnreachable(what string, why scheduler.Message) (time.Duration, error) {
	now := time.Now()
	switch {
	case s.unreachableSince.IsZero():
		s.unreachableSince, s.pause = now, firstRetryDelay
		s.showOutput(why)
		s.Messages.Note("%s (%s); retrying for up to %v", what, why.Lead, retryLimit)
	case now.Sub(s.unreachableSince) >= retryLimit:
		return 0, failure.Systemf("cannot submit the job: %s: %s", what, why.Lead)
	default:
		s.pause = min(2*s.pause, s.Settings.CommandDelay)
	}
	return s.pause, nil
}

// retryFull is retryDelay for a request that met a limit on submitted jobs. The wait
// counts towards the time that a job may be pending.
func (s *submission) retryFull(message scheduler.Message) (time.Duration, error) {
	now, limit := time.Now(), s.Settings.PendingTimeout
	if limit > 0 && now.Sub(s.started) >= limit {
		s.showOutput(message)
		return 0, failure.Buildf("%s accepted no more of your jobs for %v: %s", s.Scheduler.Name(), limit, message.Lead).
			WithHint("submit fewer jobs at a time, for example with resource_group or a smaller value of parallel, or cancel other jobs of yours in the queue")
	}
	wait := "this job waits until others end"
	if limit > 0 {
		wait += ", up to " + limit.String()
	}
	if s.notices.due(message.Lead, now) {
		s.Messages.Note("%s accepts no more of your jobs now: %s; %s", s.Scheduler.Name(), message.Lead, wait)
	}
	s.unreachableSince = time.Time{}
	s.pause = min(max(2*s.pause, firstFullDelay), max(s.Settings.CommandDelay, firstFullDelay))
	if left := limit - now.Sub(s.started); limit > 0 {
		return min(jitter(s.pause), left), nil
	}
	return jitter(s.pause), nil
}

// lookUp searches for a submission of unknown outcome by its name. The id stays unknown, ""
// without an error, when the batch system has forgotten the job and its script has ended.
func (s *submission) lookUp(ctx context.Context, reply scheduler.Reply, message scheduler.Message) (scheduler.ID, error) {
	s.Messages.Note("%s gave no clear reply to the submission (%s); searching for the job by name", s.Scheduler.Name(), explain(reply, message))
	var absent time.Time
	end := time.Now().Add(retryLimit)
	for pause := firstRetryDelay; ; pause = min(2*pause, s.Settings.CommandDelay) {
		found, err := s.find(ctx)
		switch {
		case len(found) > 0:
			return found[0].ID, nil
		case s.scriptEnded():
			return "", nil
		case err != nil:
			absent = time.Time{}
		case absent.IsZero():
			absent = time.Now()
		case time.Since(absent) >= absentLimit:
			s.showOutput(message)
			return "", failure.Systemf("%s did not accept the job (%s)", s.Scheduler.Name(), explain(reply, message))
		}
		if time.Now().After(end) || !sleep(ctx, pause) {
			s.showOutput(message)
			return "", failure.Systemf("cannot determine whether %s accepted the job (%s)", s.Scheduler.Name(), explain(reply, message))
		}
	}
}

// scriptEnded reports whether the wrapper has recorded the end of the script.
func (s *submission) scriptEnded() bool {
	s.dir().refresh()
	_, ended := s.dir().readEnd()
	return ended
}

// find queries the batch system for the submission by its name.
func (t Task) find(ctx context.Context) ([]scheduler.Found, error) {
	finder, ok := t.Scheduler.(scheduler.Finder)
	if !ok {
		return nil, fmt.Errorf("%s cannot find jobs by name", t.Scheduler.Name())
	}
	all, err := finder.ParseFind(t.runCommand(ctx, finder.Find(t.User, t.Name), queryLimit))
	if owners, unnamed := finder.(scheduler.OwnerFinder); unnamed {
		ours, ferr := t.ownOf(ctx, owners, all)
		return ours, cmp.Or(err, ferr)
	}
	return slices.DeleteFunc(all, func(f scheduler.Found) bool { return f.Name != t.Name }), err
}

// ownOf returns those of jobs without names that are the submission.
func (t Task) ownOf(ctx context.Context, owners scheduler.OwnerFinder, all []scheduler.Found) (ours []scheduler.Found, err error) {
	for _, f := range all {
		user, name, ferr := owners.ParseOwner(t.runCommand(ctx, owners.Owner(f.ID), queryLimit))
		if user == t.User && name == t.Name {
			ours = append(ours, f)
		}
		err = cmp.Or(err, ferr)
	}
	return ours, err
}

// runCommand runs one of the batch system's commands for at most limit.
func (t Task) runCommand(ctx context.Context, c scheduler.Command, limit time.Duration) scheduler.Reply {
	if ctx.Err() != nil {
		return scheduler.Reply{Err: errTimeout}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return t.Commands.Run(ctx, c)
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// refusal is the outcome of a request that the batch system read and declined. It is
// a system failure when the message names an argument of the site's configuration
// and none of the job's.
func (s *submission) refusal(message scheduler.Message) error {
	s.showOutput(message)
	s.Messages.Section("jacamar_batch", "the refused command", []string{commandLine(s.command)})
	why := message.Lead
	if why == "" {
		why = s.command.Argv[0] + " printed nothing"
	}
	named := message.NamedArguments(s.args)
	if _, given := firstOfJob(named); len(named) > 0 && !given {
		return failure.Systemf("%s refused the site's argument %q (%s): %s", s.Scheduler.Name(),
			strings.Join(named[0].Words, " "), named[0].Source.Name, message.Text()).
			WithHint(scheduler.SitesHint)
	}
	return failure.Buildf("%s refused the job: %s", s.Scheduler.Name(), why).WithHint("%s", s.advice(named))
}

// firstOfJob returns the first argument that comes from the job.
func firstOfJob(args []scheduler.Argument) (a scheduler.Argument, given bool) {
	i := slices.IndexFunc(args, func(a scheduler.Argument) bool { return !a.Source.Site })
	if i < 0 {
		return a, false
	}
	return args[i], true
}

// advice names the job's argument to change.
func (s *submission) advice(named []scheduler.Argument) string {
	if a, given := firstOfJob(named); given {
		return "change " + strings.Join(a.Words, " ") + " in " + a.Source.Name
	}
	if a, given := firstOfJob(s.args); given {
		return "correct the arguments in " + a.Source.Name
	}
	return "this job sets no arguments of its own; it can set them in SCHEDULER_PARAMETERS"
}

// showOutput copies a program's output to the job's log if it has several lines.
func (s *submission) showOutput(message scheduler.Message) {
	if len(message.Lines) < 2 {
		return
	}
	s.Messages.Note("%s printed:", s.command.Argv[0])
	for _, line := range message.Lines {
		s.Messages.Note("    %s", line)
	}
}

// explain describes an inconclusive reply in short.
func explain(r scheduler.Reply, message scheduler.Message) string {
	switch {
	case r.Err != nil && message.Lead != "":
		return r.Err.Error() + ", after it printed: " + message.Lead
	case r.Err != nil:
		return r.Err.Error()
	case message.Lead == "":
		return "it printed nothing"
	}
	return message.Lead
}

// longestCommand bounds what is shown of a command, in bytes.
const longestCommand = 4 << 10

// commandLine formats a command for a shell.
func commandLine(c scheduler.Command) string {
	var words []string
	for _, w := range slices.Concat(c.Env, c.Argv) {
		words = append(words, job.ShellWord(w))
	}
	line := strings.Join(words, " ")
	if len(line) > longestCommand {
		line = strings.ToValidUTF8(line[:longestCommand], "") + "…"
	}
	return line
}
