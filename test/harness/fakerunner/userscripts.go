package fakerunner

import (
	"context"
	"errors"
	"time"
)

// userScripts runs the author's scripts, and after_script after them.
func (e *Execution) userScripts(ctx context.Context, t *try) error {
	script := e.enterScript(ctx)
	defer e.stopScript(nil)
	if d := e.duration("RUNNER_SCRIPT_TIMEOUT", 0); d > 0 {
		var stop context.CancelFunc
		script, stop = context.WithTimeoutCause(script, d, errScriptTimeout)
		defer stop()
	}
	err := e.steps(script, t)
	if script.Err() != nil {
		err = context.Cause(script)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e.leaveScript(statusWord(err))
	return prior(err, e.afterScript(ctx, t))
}

func (e *Execution) steps(ctx context.Context, t *try) error {
	e.trace.line("Executing \"step_script\" stage of the job script")
	e.trace.line("WARNING: Starting with version 17.0 the 'build_script' stage will be replaced with 'step_script'")
	if err := t.run(ctx, "build_script", e.script(t, "build_script")); err != nil {
		return err
	}
	for _, s := range e.job.Steps {
		stage := "step_" + s.Name
		e.trace.line("Executing %q stage of the job script", stage)
		if err := t.run(ctx, stage, e.script(t, stage)); err != nil {
			return err
		}
	}
	return nil
}

// afterScript has its own timeout and fails the job only when the job requests that.
func (e *Execution) afterScript(ctx context.Context, t *try) error {
	if !e.has("after_script", len(e.job.AfterScript) > 0) {
		return nil
	}
	e.trace.line("Running after_script")
	ctx, stop := context.WithTimeout(ctx, e.duration("RUNNER_AFTER_SCRIPT_TIMEOUT", 5*time.Minute))
	defer stop()
	err := t.run(ctx, "after_script", e.script(t, "after_script"))
	if err == nil {
		return nil
	}
	e.trace.line("WARNING: after_script failed, but job will continue unaffected: %v", err)
	if e.job.value("AFTER_SCRIPT_IGNORE_ERRORS") == "false" {
		return err
	}
	return nil
}

// uploads saves the caches and artifacts that match the script's result.
func (e *Execution) uploads(ctx context.Context, t *try, failed bool) error {
	cache, artifacts := "archive_cache", "upload_artifacts_on_success"
	if failed {
		cache, artifacts = "archive_cache_on_failure", "upload_artifacts_on_failure"
	}
	var first error
	if e.has(cache, e.savesCache(failed)) {
		e.trace.line("Saving cache")
		first = t.run(ctx, cache, e.script(t, cache))
	}
	if e.has(artifacts, e.savesArtifacts(failed)) {
		e.trace.line("Uploading artifacts")
		first = prior(first, t.run(ctx, artifacts, e.script(t, artifacts)))
	}
	return first
}

func (e *Execution) savesCache(failed bool) bool {
	for _, c := range e.job.Cache {
		if whenMatches(c.When, failed) {
			return true
		}
	}
	return false
}

func (e *Execution) savesArtifacts(failed bool) bool {
	for _, a := range e.job.Artifacts {
		if whenMatches(a.When, failed) {
			return true
		}
	}
	return false
}

func (e *Execution) duration(key string, standard time.Duration) time.Duration {
	if d, err := time.ParseDuration(e.job.value(key)); err == nil && d > 0 {
		return d
	}
	return standard
}

// statusWord is CI_JOB_STATUS from after_script on.
func statusWord(err error) string {
	switch {
	case err == nil:
		return "success"
	case errors.Is(err, errCanceled):
		return "canceled"
	case errors.Is(err, errScriptTimeout):
		return "timedout"
	}
	return "failed"
}
