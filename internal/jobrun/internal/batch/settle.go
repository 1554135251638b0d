package batch

import (
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// How long the batch system may take to say why a script failed: it is asked
// because a limit or a lost node looks like a failing script. A script that was
// told to end is followed by a slow end of all its processes.
const (
	reasonWait     = 5 * time.Second
	toldReasonWait = time.Minute
)

// settleMark is the outcome of a script that told its end.
func (r *run) settleMark(mark end) error {
	r.mark, r.began = &mark, true
	if err := r.drain(mark.size); err != nil {
		return err
	}
	if mark.code != 0 {
		r.awaitEnd(mark)
	}
	if mark.told && mark.code != 0 && r.state.Phase != scheduler.Done && !closed(r.stop.Terminate) {
		r.Voice.Note("%s told the script to end (SIGTERM) and has no record of why; a limit of time is the usual reason", r.Scheduler.Name())
	}
	return r.verdict(r.id, r.mark, true, r.state)
}

// awaitEnd asks the batch system until it says that the job is over, or has not
// known it for a while: some keep no records.
func (r *run) awaitEnd(mark end) {
	limit := reasonWait
	if mark.told {
		limit = toldReasonWait
	}
	close(r.poller.hurried)
	late := time.After(limit)
	var forgotten <-chan time.Time
	for r.state.Phase != scheduler.Done {
		select {
		case r.state = <-r.poller.states:
			if !r.state.Finished() {
				forgotten = nil
			} else if forgotten == nil {
				forgotten = time.After(reasonWait)
			}
		case <-forgotten:
			return
		case <-r.stop.Terminate:
			return
		case <-late:
			return
		}
	}
}

// settleRecord is the outcome of a job that the batch system says is over and
// whose mark, if there is one, is late.
func (r *run) settleRecord() error {
	size := int64(-1)
	r.dir().refresh()
	if mark, ok := r.dir().ended(); ok {
		r.mark, size = &mark, mark.size
	}
	if err := r.drain(size); err != nil {
		return err
	}
	return r.verdict(r.id, r.mark, r.began, r.state)
}

// giveUp ends a job that has no future.
func (r *run) giveUp(why error) error {
	r.unsure = r.end(r.stop.Abort)
	if err := r.drain(-1); err != nil {
		return err
	}
	return why
}

// drain copies the rest of the log, once the watch has ended: by the mark, or by
// being told here.
func (r *run) drain(size int64) error {
	r.eyes.quit()
	select {
	case <-r.eyes.done:
	case <-r.stop.Abort:
		return nil
	}
	ctx, cancel := until(r.stop.Abort)
	defer cancel()
	if err := r.eyes.copyRest(ctx, size); err != nil {
		return failure.Systemf("cannot follow the job's output: %w", err)
	}
	if full := r.dir().full(); full != nil {
		r.Voice.Warn("%v; what the job wrote last is missing from its log", full)
		r.Voice.Note("%s", full.Hint)
	}
	return nil
}
