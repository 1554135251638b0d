package fakerunner

import (
	"syscall"
	"time"
)

// Outcome is how the runner reports a job: success, or a failure reason.
type Outcome string

// The outcomes, with the runner's names of the reasons.
const (
	Success       Outcome = "success"
	ScriptFailure Outcome = "script_failure"
	SystemFailure Outcome = "runner_system_failure"
	Timeout       Outcome = "job_execution_timeout"
	Canceled      Outcome = "job_canceled"
	Aborted       Outcome = "aborted"
	Interrupted   Outcome = "runner_interrupted"
)

// Result describes a finished job.
type Result struct {
	JobID   int64
	Outcome Outcome
	// ExitCode is the code that GitLab gets for a ScriptFailure, 0 for none.
	ExitCode int
	// Reason is the text behind "Job failed: ".
	Reason string
	// Trace is the job log, masked, in the order it was written.
	Trace string
	// Calls are the driver's starts in order.
	Calls []Call
	// Config is what the last successful config stage printed.
	Config                        ConfigOutput
	BuildsDir, CacheDir           string
	ProjectDir, TempProjectDir    string
	ConcurrentID, ConcurrentProID int
	Duration                      time.Duration
}

// Call is one start of the driver.
type Call struct {
	// Stage is config, prepare, cleanup, or the run sub-stage's name.
	Stage string
	// Try counts the executor tries from 1.
	Try  int
	Argv []string
	Env  []string
	Dir  string
	PID  int

	// Status is the exit status; -1 for a process that was killed by Signal or
	// that never started.
	Status   int
	Signal   syscall.Signal
	Started  time.Time
	Duration time.Duration

	// Stdout and Stderr are unmasked and kept up to the runner's CaptureLimit;
	// the counts are of all bytes.
	Stdout, Stderr           []byte
	StdoutCount, StderrCount int64

	CodeFile CodeFile
	Warnings []string
	// Err is the runner's interpretation: nil, *BuildError, *UnknownFailure, or
	// any other error for a system failure.
	Err error `json:"-"`
	// Failure is Err's text.
	Failure string
}

// Stages lists the calls' stages in order.
func (r Result) Stages() []string {
	out := make([]string, len(r.Calls))
	for i, c := range r.Calls {
		out[i] = c.Stage
	}
	return out
}

// Call returns the last call of a stage.
func (r Result) Call(stage string) (Call, bool) {
	for i := len(r.Calls) - 1; i >= 0; i-- {
		if r.Calls[i].Stage == stage {
			return r.Calls[i], true
		}
	}
	return Call{}, false
}
