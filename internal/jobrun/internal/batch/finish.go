package batch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// How long the batch system may take to report why a script failed: it is queried
// because a limit or a lost node looks like a failing script. After SIGTERM the
// processes of a job end slowly.
const (
	reasonLimit           = 5 * time.Second
	terminatedReasonLimit = time.Minute
)

// finishByStatusFile returns the outcome of a script whose wrapper recorded its end.
func (r *submittedJob) finishByStatusFile(status endStatus) error {
	r.endStatus, r.started = &status, true
	select {
	case r.startStatus = <-r.watcher.started: // both came at once
	default:
	}
	if err := r.copyRest(status.size); err != nil {
		return err
	}
	if r.state.Phase == scheduler.Pending {
		r.state = scheduler.State{} // of before the start
	}
	if (status.code != 0 || status.terminated) && r.id != "" {
		r.awaitReason(status)
	}
	if r.state.Phase == scheduler.Pending {
		r.cancelErr = r.cancel() // it could be held there forever
	}
	killed := status.terminated && status.code != 0 && !r.stop.Terminating()
	if killed && r.startsAgain(status) {
		return r.requeued(r.id)
	}
	if killed && r.state.Phase != scheduler.Done {
		r.Messages.Note("%s sent SIGTERM to the script without recording a reason; the usual reason is a time limit", r.Scheduler.Name())
	}
	return r.outcome(r.id, r.endStatus, true, r.state)
}

// startsAgain reports whether the batch system has put the job back into its queue after
// its script: it is pending, or its wrapper has refused a second start.
func (r *submittedJob) startsAgain(status endStatus) bool {
	refused := r.state.Exit.Known && r.state.Exit.Code == refusedCode && status.code != refusedCode
	return r.state.Phase == scheduler.Pending || r.state.Phase == scheduler.Done && refused
}

// awaitReason polls the batch system until it reports the job as done, or has had no
// record of it for a while: some batch systems keep no records.
func (r *submittedJob) awaitReason(status endStatus) {
	limit := reasonLimit
	if status.terminated {
		limit = terminatedReasonLimit
	}
	close(r.poller.urgent)
	timeout := time.After(limit)
	var noRecord <-chan time.Time
	for r.state.Phase != scheduler.Done {
		select {
		case r.state = <-r.poller.states:
			if !r.state.Finished() {
				noRecord = nil
			} else if noRecord == nil {
				noRecord = time.After(reasonLimit)
			}
		case <-noRecord:
			return
		case <-r.stop.Terminate:
			return
		case <-timeout:
			return
		}
	}
}

// finishByQueue returns the outcome of a job that the batch system reports as done
// and whose status file is late or missing.
func (r *submittedJob) finishByQueue() error {
	size := int64(-1)
	r.dir().refresh()
	if status, ok := r.dir().readEnd(); ok {
		r.endStatus, size = &status, status.size
	}
	if err := r.copyRest(size); err != nil {
		return err
	}
	return r.outcome(r.id, r.endStatus, r.started, r.state)
}

// abandon cancels a job that cannot succeed.
func (r *submittedJob) abandon(why error) error {
	r.cancelErr = r.cancel()
	if err := r.copyRest(-1); err != nil {
		return err
	}
	return why
}

// copyRest ends the watch and copies the rest of the log.
func (r *submittedJob) copyRest(size int64) error {
	r.watcher.quit()
	select {
	case <-r.watcher.done:
	case <-r.stop.Abort:
		return nil
	}
	ctx, cancel := until(r.stop.Abort)
	defer cancel()
	if err := r.watcher.copyRest(ctx, size); err != nil {
		return failure.Systemf("cannot read the job's output: %w", err)
	}
	if full := r.dir().checkSpace(); full != nil {
		r.Messages.Warn("%v; the end of the job's output is missing from this log", full)
		r.Messages.Note("%s", full.Hint)
	}
	return nil
}

// refusedCode is the wrapper's exit code when it did not run the script.
const refusedCode = 75

// outcome derives the stage's outcome. status is nil when the wrapper recorded no
// end; s is the latest state that the batch system reported.
func (t Task) outcome(id scheduler.ID, status *endStatus, started bool, s scheduler.State) error {
	switch {
	case status != nil && t.recorded(*status) == nil:
		return nil
	case s.Phase == scheduler.Done && s.Class != scheduler.Exited:
		return t.outcomeByClass(id, s)
	case status != nil:
		return t.recorded(*status)
	case s.Reason.Kind == scheduler.Unsatisfiable:
		return t.unsatisfiable(id, s)
	case !started:
		return failure.Systemf("%s job %s ended (%s) and its script did not start", t.Scheduler.Name(), id, describeEnd(s)).
			WithHint("the nodes must be able to write to %s", t.Scripts)
	}
	return t.outcomeWithoutStatus(id, s)
}

// recorded is the outcome of the script by what the wrapper recorded.
func (t Task) recorded(status endStatus) error {
	switch {
	case t.Payload != nil:
		return t.Payload.Outcome(status.marks, status.code)
	case status.code == 0:
		return nil
	case status.scriptNotRun:
		return failure.Systemf("the shell of the job's script ended (exit code %d) before the script began", status.code)
	}
	return failure.Exit(status.code)
}

// outcomeWithoutStatus is the outcome of a script that started and whose end the
// wrapper did not record, for example because its storage is full.
func (t Task) outcomeWithoutStatus(id scheduler.ID, s scheduler.State) error {
	switch {
	case !s.Exit.Known || s.Exit.Code == refusedCode || s.Exit.Signal != 0:
		return failure.Systemf("%s job %s ended (%s) and its script did not record an exit status", t.Scheduler.Name(), id, describeEnd(s))
	case s.Exit.Code != 0:
		return failure.Exit(s.Exit.Code)
	}
	return nil
}

// requeued is the outcome of a job that the batch system has put back into its queue.
func (t Task) requeued(id scheduler.ID) error {
	return failure.Systemf("%s put job %s back into its queue after its script had started, and a script does not run twice", t.Scheduler.Name(), id)
}

// outcomeByClass is the outcome of a job that the batch system ended.
func (t Task) outcomeByClass(id scheduler.ID, s scheduler.State) error {
	what := fmt.Sprintf("%s ended job %s: %s (%s)", t.Scheduler.Name(), id, s.Description, s.Name)
	switch s.Class {
	case scheduler.TimeLimit:
		return failure.Buildf("%s", what).WithHint("request more time in SCHEDULER_PARAMETERS%s", t.requestExample(s.Class))
	case scheduler.MemoryLimit:
		return failure.Buildf("%s", what).WithHint("request more memory in SCHEDULER_PARAMETERS%s", t.requestExample(s.Class))
	case scheduler.Deadline:
		return failure.Buildf("%s", what).WithHint("set a later deadline in SCHEDULER_PARAMETERS%s, or none", t.requestExample(s.Class))
	case scheduler.Cancelled:
		return failure.Buildf("%s job %s was cancelled%s, not by this CI job", t.Scheduler.Name(), id, cancelledBy(s.By))
	}
	return failure.Systemf("%s", what)
}

// requestExample returns an example of the option that changes such a limit.
func (t Task) requestExample(c scheduler.Class) string {
	if a, ok := t.Scheduler.(scheduler.Hinter); ok && a.Advice(c) != "" {
		return ", for example " + a.Advice(c)
	}
	return ""
}

// unsatisfiable is the outcome of a request that can never start.
func (t Task) unsatisfiable(id scheduler.ID, s scheduler.State) error {
	return failure.Buildf("%s job %s can never start: %s (%s)", t.Scheduler.Name(), id, s.Reason.Description, s.Reason.Name).
		WithHint("change the request in SCHEDULER_PARAMETERS")
}

func cancelledBy(uid string) string {
	if uid == "" {
		return ""
	}
	return " by uid " + job.Clip(uid)
}

// describeEnd is the batch system's name of the final state, with the exit status.
func describeEnd(s scheduler.State) string {
	if !s.Exit.Known {
		return s.Name
	}
	words := fmt.Sprintf("%s, exit code %d", s.Name, s.Exit.Code)
	if s.Exit.Signal != 0 {
		words += fmt.Sprintf(", signal %d", s.Exit.Signal)
	}
	return words
}

const (
	// usageTries and usagePause bound the wait for an accounting record, which
	// arrives a little after the end.
	usageTries = 3
	usagePause = 300 * time.Millisecond
	usageLimit = 2 * time.Second
)

// summarize shows the job's resource usage at the end, as far as known.
func (r *submittedJob) summarize() {
	lines := []string{"submitted: " + commandLine(r.command)}
	var u scheduler.Usage
	if r.started {
		u = r.usage()
		lines = append(lines, r.summary(u)...)
	}
	r.reportEnd(u)
	r.Messages.Section("jacamar_batch", fmt.Sprintf("%s job %s%s", r.Scheduler.Name(), r.shown(), r.endWords()), lines)
}

// endWords describes the end of the job for the title of its summary, as far as known:
// the batch system's final state, and the script's exit code.
func (r *submittedJob) endWords() string {
	var words []string
	if r.state.Phase == scheduler.Done {
		words = append(words, r.state.Name)
	}
	if r.endStatus != nil {
		words = append(words, fmt.Sprintf("exit code %d", r.endStatus.code))
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}

// usage queries the accounting, where the site has one.
func (r *submittedJob) usage() scheduler.Usage {
	accountant, ok := r.Scheduler.(scheduler.Accountant)
	if !ok || r.id == "" || !r.Settings.SlurmSacct || r.stop.Terminating() {
		return scheduler.Usage{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), usageLimit)
	defer cancel()
	var u scheduler.Usage
	for range usageTries {
		u = accountant.ParseUsage(r.runCommand(ctx, accountant.Usage(r.id), usageLimit))
		if u.CPU > 0 || !sleep(ctx, usagePause) {
			break
		}
	}
	return u
}

// summary returns the lines of the summary; unknown values are left out.
func (r *submittedJob) summary(u scheduler.Usage) []string {
	var lines []string
	add := func(known bool, format string, args ...any) {
		if known {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	nodes := first(u.Nodes, r.state.Nodes, r.startStatus.node)
	add(nodes != "", "nodes: %s", nodes)
	// A clock that was set back meanwhile, or an end without a time, gives no duration.
	if begun := r.startStatus.at; r.endStatus != nil && !begun.IsZero() && !r.endStatus.at.Before(begun) {
		add(true, "ran: %v", r.endStatus.at.Sub(begun))
	} else {
		add(u.Elapsed > 0, "ran: %v", u.Elapsed)
	}
	waited := r.startStatus.at.Sub(r.submitted.Truncate(time.Second))
	add(waited >= 0, "waited: %v", waited) // negative without a start too
	part, ok := u.Efficiency()
	add(ok, "CPU efficiency: %.0f %% of %d CPUs", 100*part, u.CPUs)
	add(u.Memory > 0, "peak memory of a task: %.1f MiB", float64(u.Memory)/(1<<20))
	return lines
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
