package fakerunner

import (
	"errors"
	"time"
)

// finish turns the job's error into the result for GitLab and the user.
func (e *Execution) finish(err error) {
	e.result = Result{
		JobID: e.job.ID, BuildsDir: e.dirs.builds, CacheDir: e.dirs.cache, ProjectDir: e.dirs.project, TempProjectDir: e.dirs.temp(),
		ConcurrentID: e.slot, ConcurrentProID: e.projectSlot, Duration: time.Since(e.began),
	}
	e.result.Calls, e.result.Config = e.snapshot()
	e.result.Outcome, e.result.ExitCode = outcome(err)
	switch {
	case err == nil:
		e.trace.line("Job succeeded")
	default:
		e.result.Reason = err.Error()
		e.trace.line("ERROR: Job failed%s: %s", remark(e.result.Outcome), e.result.Reason)
	}
	e.result.Trace = e.trace.String()
	e.journal.end()
	if judge := e.runner.Judge; judge != nil {
		judge(e.result)
	}
}

func remark(o Outcome) string {
	if o == SystemFailure {
		return " (system failure)"
	}
	return ""
}

func outcome(err error) (Outcome, int) {
	var own *BuildError
	switch {
	case err == nil:
		return Success, 0
	case errors.Is(err, errJobTimeout), errors.Is(err, errScriptTimeout):
		return Timeout, 0
	case errors.Is(err, errCanceled):
		return Canceled, 0
	case errors.Is(err, errAborted):
		return Aborted, 0
	case errors.Is(err, errInterrupted):
		return Interrupted, 0
	case errors.As(err, &own):
		return ScriptFailure, own.Code
	}
	return SystemFailure, 0
}

// using is the line of the trace about the config stage's output.
func (e *Execution) using(c ConfigOutput) {
	e.mu.Lock()
	e.config = c
	e.mu.Unlock()
	if c.Driver.Name != "" {
		e.trace.line("Using Custom executor with driver %s %s...", c.Driver.Name, c.Driver.Version)
	} else {
		e.trace.line("Using Custom executor...")
	}
}
