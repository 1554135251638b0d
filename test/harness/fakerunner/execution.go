package fakerunner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// phase is how far a job has come, as a cancel request sees it.
type phase int

const (
	beforeScript phase = iota
	inScript
	afterScript
)

// Execution is a job under way.
type Execution struct {
	runner  *Runner
	job     Job
	trace   *trace
	journal *journal
	began   time.Time

	slot, projectSlot int
	// dirs are set before the first run call.
	dirs dirs

	mu         sync.Mutex
	status     string
	phase      phase
	stopJob    context.CancelCauseFunc
	stopScript context.CancelCauseFunc
	calls      []Call
	config     ConfigOutput

	done   chan struct{}
	result Result
}

// The reasons for which a job is stopped.
var (
	errJobTimeout    = errors.New("execution took longer than the job's timeout")
	errScriptTimeout = errors.New("the script took longer than RUNNER_SCRIPT_TIMEOUT")
	errCanceled      = errors.New("canceled")
	errAborted       = errors.New("aborted by GitLab")
	errInterrupted   = errors.New("aborted: terminated")
)

// Run runs a whole job.
func (r *Runner) Run(job Job) Result { return r.Start(job).Wait() }

// Start begins a job.
func (r *Runner) Start(job Job) *Execution {
	e := &Execution{
		runner: r, job: job, journal: newJournal(), began: time.Now(), status: "running", done: make(chan struct{}),
		trace:       &trace{limit: orSize(r.TraceLimit, 4<<20), phrases: variables(job.Variables).masked(), hook: r.Hooks.Trace},
		slot:        r.slots.take(wholeRunner),
		projectSlot: r.slots.take(job.Project.ID),
	}
	ctx, stop := context.WithCancelCause(context.Background())
	e.stopJob = stop
	go e.play(ctx)
	return e
}

// Wait returns when the job is over.
func (e *Execution) Wait() Result {
	<-e.done
	return e.result
}

// Done is closed when the job is over.
func (e *Execution) Done() <-chan struct{} { return e.done }

// Trace returns the job log so far.
func (e *Execution) Trace() string { return e.trace.String() }

// Cancel is a user's click on "cancel": it stops the script and lets
// after_script and the stages behind it run; before the script it stops
// everything; after the script it has no effect.
func (e *Execution) Cancel() {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch e.phase {
	case beforeScript:
		e.stopJob(errCanceled)
	case inScript:
		e.stopScript(errCanceled)
	case afterScript:
	}
}

// Abort is GitLab's response that the runner must not continue the job: everything is
// stopped, only cleanup runs.
func (e *Execution) Abort() { e.stopJob(errAborted) }

// Interrupt is SIGTERM to the runner: everything is stopped, only cleanup runs.
func (e *Execution) Interrupt() { e.stopJob(errInterrupted) }

// AwaitStage waits until the driver runs for the stage, for the count-th time
// where that is more than once, and returns its process.
func (e *Execution) AwaitStage(ctx context.Context, stage string, count int) (Process, error) {
	var found Process
	err := e.journal.wait(ctx, fmt.Sprintf("stage %s (%d)", stage, count), func() bool {
		n := 0
		for _, p := range e.journal.started {
			if p.Stage == stage {
				n++
				found = p
			}
			if n >= count && n > 0 {
				return true
			}
		}
		return false
	})
	return found, err
}

// AwaitOutput waits until the stage's output, both streams together and
// unmasked, has text in it.
func (e *Execution) AwaitOutput(ctx context.Context, stage, text string) error {
	return e.journal.wait(ctx, fmt.Sprintf("%q in the output of %s", text, stage), func() bool {
		b := e.journal.output[stage]
		return b != nil && strings.Contains(b.String(), text)
	})
}

// jobStatus is CI_JOB_STATUS.
func (e *Execution) jobStatus() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

// leaveScript ends the time in which a cancel has an effect.
func (e *Execution) leaveScript(status string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.phase, e.status = afterScript, status
}

// enterScript makes the context that a graceful cancel ends.
func (e *Execution) enterScript(ctx context.Context) context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	ctx, e.stopScript = context.WithCancelCause(ctx)
	e.phase = inScript
	return ctx
}

func (e *Execution) noteStart(p Process) {
	e.journal.start(p)
	if hook := e.runner.Hooks.Started; hook != nil {
		hook(p)
	}
}

func (e *Execution) noteCall(c Call) {
	e.mu.Lock()
	e.calls = append(e.calls, c)
	e.mu.Unlock()
	if hook := e.runner.Hooks.Ended; hook != nil {
		hook(c)
	}
}

func (e *Execution) snapshot() ([]Call, ConfigOutput) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.calls), e.config
}

// taps are the writers behind a call's pipes. Only config's standard output
// and cleanup's streams stay out of the trace.
func (e *Execution) taps(stage string) (stdout, stderr *tap) {
	return e.tap(stage, Stdout), e.tap(stage, Stderr)
}

func (e *Execution) tap(stage string, s Stream) *tap {
	limit := orSize(e.runner.CaptureLimit, 64<<20)
	t := &tap{limit: limit, pass: func(p []byte) {
		e.journal.write(stage, p, limit)
		if hook := e.runner.Hooks.Output; hook != nil {
			hook(stage, s, p)
		}
	}}
	if stage != "cleanup" && (stage != "config" || s == Stderr) {
		t.mask, t.trace = newMasker(e.trace.phrases), e.trace
	}
	return t
}
