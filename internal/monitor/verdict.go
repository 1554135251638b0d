package monitor

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/proctree"
)

// verdict is what a stage came to.
type verdict struct {
	last    outcome
	hello   ipc.Hello // zero when jacamar did not send it
	status  unix.WaitStatus
	early   string // what came through its standard error before the hello
	forced  bool   // it did not end by itself
	stopped bool
	left    leftError
}

// err returns the stage's failure. A build failure stays the job's own whatever it
// has left; a success with something left is none.
func (v verdict) err() error {
	switch failed := v.last.result.Failed(); {
	case v.stopped && (v.last.err != nil || !failed):
		return failure.Systemf("the job was stopped by the runner")
	case len(v.left.all) > 0 && (v.last.err != nil || !failed):
		return failure.Systemf("%s", v.left.Error()).WithHint("%s", v.left.hint())
	case v.last.err != nil:
		return v.died()
	}
	return v.last.result.Err()
}

// died explains an end without a result.
func (v verdict) died() error {
	crash := (*ipc.CrashError)(nil)
	switch err := v.last.err; {
	case errors.As(err, &crash) && sentSignal(crash.Text) != 0:
		return killed(sentSignal(crash.Text))
	case crash != nil && crash.Threads():
		return failure.Crowded(v.last.tasks, v.hello.Processes, err)
	case !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET):
		return failure.Privatef("jacamar, which runs the job, failed: %w", err)
	case isCrowded(v.early):
		return failure.Crowded(v.last.tasks, 0, errors.New(strings.TrimSpace(v.early)))
	case v.forced:
		return failure.Privatef("jacamar, which runs the job, closed its conversation without a result and did not end")
	case v.hello.PID != 0 && v.status.Signaled():
		return killed(v.status.Signal())
	}
	// A reset is an end that came before the request was read.
	e := &StartError{Text: strings.TrimSpace(v.early)}
	if v.status.Exited() {
		e.Status = v.status.ExitStatus()
	}
	return failure.Privatef("%w", e)
}

// sentSignal is the signal for which Go's runtime ended jacamar, 0 for another reason. Its
// text begins with the name of one that a process sent and that is not caught (os/signal,
// "Default behavior of signals in Go programs").
func sentSignal(crash string) syscall.Signal {
	name, _, _ := strings.Cut(crash, ": ")
	return unix.SignalNum(name)
}

func killed(by syscall.Signal) error {
	return failure.Systemf("jacamar, which runs the job, was killed by signal %d (%s)", int(by), unix.SignalName(by)).
		WithHint("the job did so itself, or the machine was short of memory")
}

// StartError is the end of a jacamar, or of a sudo that was to start it, without a result.
type StartError struct {
	Status int    // exit status, 0 if unknown
	Text   string // what it printed before it had its request
}

// Error implements error.
func (e *StartError) Error() string {
	text := "jacamar ended without a result"
	if e.Status != 0 {
		text += fmt.Sprintf(" (exit status %d)", e.Status)
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// isCrowded reports whether a start failed because no process or thread could be made: what Go's
// runtime and what sudo print for EAGAIN.
func isCrowded(early string) bool {
	return strings.Contains(early, "failed to create new OS thread") || strings.Contains(early, "newosproc") ||
		strings.Contains(early, "Resource temporarily unavailable")
}

// leftError names the processes that could not be ended.
type leftError struct {
	all []proctree.Sight
	// account is why nothing could be done as the account, nil for nothing.
	account error
}

// Error implements error.
func (l leftError) Error() string {
	var names []string
	for _, s := range l.all[:min(len(l.all), shown)] {
		names = append(names, s.String())
	}
	if more := len(l.all) - shown; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	text := fmt.Sprintf("processes of the job could not be ended: %s", strings.Join(names, ", "))
	if l.account != nil {
		text += fmt.Sprintf(" (%v)", l.account)
	}
	return text
}

// shown is how many of them are named.
const shown = 8

func (l leftError) hint() string {
	for _, s := range l.all {
		if s.Waits() {
			return "it waits in the kernel, as for storage that does not answer; it may be back when you retry the job; if not, tell its administrators"
		}
	}
	return "tell its administrators"
}
