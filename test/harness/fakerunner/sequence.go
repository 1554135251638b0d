package fakerunner

import (
	"context"
	"errors"
	"strconv"
	"time"
)

const tries = 3

// play runs all stages of a job.
func (e *Execution) play(ctx context.Context) {
	defer close(e.done)
	ctx, stop := context.WithTimeoutCause(ctx, e.job.timeout(), errJobTimeout)
	defer stop()
	e.trace.line("Running with gitlab-runner %s (fakerunner)", version)
	e.trace.line("Preparing the \"custom\" executor")
	t, err := e.prepare(ctx)
	if err == nil {
		err = e.stages(ctx, t)
		t.cleanup()
	}
	e.runner.slots.free(wholeRunner, e.slot)
	e.runner.slots.free(e.job.Project.ID, e.projectSlot)
	e.finish(err)
}

// prepare tries config and prepare. A failure that is the job's own is final.
func (e *Execution) prepare(ctx context.Context) (*try, error) {
	var err error
	for n := 1; n <= tries; n++ {
		var t *try
		if t, err = e.newTry(n); err != nil {
			return nil, err
		}
		if err = t.prepare(ctx); err == nil {
			return t, nil
		}
		t.cleanup()
		var own *BuildError
		switch {
		case errors.As(err, &own):
			return nil, err
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case n < tries:
			e.trace.line("ERROR: Preparation failed: %v", err)
			pause := orDefault(e.runner.RetryPause, 3*time.Second)
			e.trace.line("Will be retried in %v ...", pause)
			rest(ctx, pause)
		}
	}
	return nil, err
}

// stages runs the sub-stages. When the job's own time ends or it is stopped,
// that decides the result, and the running stage is ended.
func (e *Execution) stages(ctx context.Context, t *try) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	run, stop := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.substages(run, t) }()
	select {
	case err := <-ended:
		stop(nil)
		return err
	case <-ctx.Done():
	}
	stop(context.Cause(ctx))
	await(ended, orDefault(e.runner.FinishWait, 5*time.Minute))
	return context.Cause(ctx)
}

// substages is the order of the run calls.
func (e *Execution) substages(ctx context.Context, t *try) error {
	if e.job.Bare {
		return e.userScripts(ctx, t)
	}
	e.trace.line("Preparing environment")
	if err := t.run(ctx, "prepare_script", e.script(t, "prepare_script")); err != nil {
		return err
	}
	err := e.sources(ctx, t)
	if err == nil {
		err = e.userScripts(ctx, t)
	}
	e.leaveScript(statusWord(err))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err = prior(err, e.uploads(ctx, t, err != nil))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e.trace.line("Cleaning up project directory and file based variables")
	// Its failure is in the runner's own log alone.
	_ = t.run(ctx, "cleanup_file_variables", e.script(t, "cleanup_file_variables"))
	return err
}

// sources gets the files that the script needs.
func (e *Execution) sources(ctx context.Context, t *try) error {
	e.trace.line("Getting source from Git repository")
	if err := e.attempts(ctx, t, "get_sources", "GET_SOURCES_ATTEMPTS"); err != nil {
		return err
	}
	if e.has("restore_cache", len(e.job.Cache) > 0) {
		e.trace.line("Restoring cache")
		if err := e.attempts(ctx, t, "restore_cache", "RESTORE_CACHE_ATTEMPTS"); err != nil {
			return err
		}
	}
	if e.has("download_artifacts", len(e.job.Dependencies) > 0) {
		e.trace.line("Downloading artifacts")
		return e.attempts(ctx, t, "download_artifacts", "ARTIFACT_DOWNLOAD_ATTEMPTS")
	}
	return nil
}

// attempts repeats a stage after any failure, as often as the job's variable permits.
func (e *Execution) attempts(ctx context.Context, t *try, stage, key string) error {
	pause := orDefault(e.runner.StagePause, 5*time.Second)
	n := e.attemptsAllowed(key)
	for i := 0; ; i++ {
		err := e.attempt(ctx, t, stage, i)
		if err == nil || i+1 >= n || ctx.Err() != nil {
			return err
		}
		e.trace.line("ERROR: %s failed: %v", stage, err)
		rest(ctx, pause)
		pause *= 2
	}
}

// attempt is one of them. The second one of get_sources begins with an empty worktree;
// where that fails, it counts as the failed attempt.
func (e *Execution) attempt(ctx context.Context, t *try, stage string, earlier int) error {
	if stage == "get_sources" && earlier == 1 {
		if err := t.run(ctx, "clear_worktree", e.script(t, "clear_worktree")); err != nil {
			return err
		}
	}
	return t.run(ctx, stage, e.script(t, stage))
}

// attemptsAllowed is between 1 and 10; what is no number counts as none.
func (e *Execution) attemptsAllowed(key string) int {
	n, err := strconv.Atoi(e.job.value(key))
	if err != nil {
		return 1
	}
	return max(1, min(n, 10))
}

// has reports whether a stage is run: when the job has it, or a test gave its script.
func (e *Execution) has(stage string, own bool) bool {
	_, raw := e.job.Raw[stage]
	return own || raw
}

// prior keeps the first failure: a later one changes neither reason nor code.
func prior(first, later error) error {
	if first != nil {
		return first
	}
	return later
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
