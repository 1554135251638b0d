// Package subprocess runs the helper programs of the privileged process: getent, the
// site's validation script and jacamar-keys. The privileged process starts no other
// programs before it changes to the user's account. Every helper has only the given
// ids and environment, a new session, an input that ends, and limits on time and
// output; at the end no process of its process group is alive.
package subprocess

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/rlimit"
)

// Command is one helper to run.
type Command struct {
	Path string   // absolute; PATH is not searched
	Args []string // without the program's name
	Env  []string // the whole environment
	// As are the ids that the helper runs with; nil means those of this process. It
	// never has others, not even before execve(2): other processes of this process's
	// account could otherwise attach to it.
	As *thread.IDs
	// NoNewPrivs disables setuid bits and file capabilities for the helper and its
	// children (PR_SET_NO_NEW_PRIVS in prctl(2)).
	NoNewPrivs bool
	// Input is the helper's standard input; nil is /dev/null.
	Input *os.File
	// Files become the descriptors 3, 4, … of the helper and its children.
	Files []*os.File
	// Limit is how long it may run; then it is killed.
	Limit time.Duration
	// MaxOutput bounds the standard output in bytes. A helper that prints more is
	// killed: incomplete output is not usable.
	MaxOutput int
	// MaxErrors bounds the standard error in bytes; more is discarded.
	MaxErrors int
}

// Result is the result of a helper that has ended.
type Result struct {
	Stdout []byte
	Stderr []byte
	// Code is the exit status, 0 to 255.
	Code int
}

// grace bounds the time until a killed helper has ended, and the time until its last
// output has arrived.
const grace = 2 * time.Second

// stderrGrace is the same for the standard error, which a daemon of the helper often
// keeps open (an ssh master connection, for example).
const stderrGrace = 100 * time.Millisecond

// Run starts the helper and waits for its end. The error is a StartError, a
// TimeoutError, an OutputError, a HeldError, a SignalError, a limit that is too low or the
// context's cause; an exit status other than 0 is not an error here.
func (c Command) Run(ctx context.Context) (r Result, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Limit, TimeoutError{c.Limit})
	defer cancel()
	// One thread from the start to the end: the parent-death signal is tied to the
	// thread that started the child, and only its ids may signal the child.
	err = thread.Run(func() error {
		if err := c.prepareThread(); err != nil {
			return StartError{err}
		}
		r, err = c.run(ctx)
		return err
	})
	return r, err
}

// prepareThread gives the calling thread the attributes that the helper inherits.
func (c Command) prepareThread() error {
	if err := c.As.Take(); err != nil {
		return err
	}
	if err := capability.DropInheritable(); err != nil {
		return err
	}
	if !c.NoNewPrivs {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	return nil
}

func (c Command) run(ctx context.Context) (Result, error) {
	out, err := newCapture(c.MaxOutput)
	if err != nil {
		return Result{}, StartError{err}
	}
	defer out.close()
	errs, err := newCapture(c.MaxErrors)
	if err != nil {
		return Result{}, StartError{err}
	}
	defer errs.close()
	cmd := c.prepare(out.w, errs.w)
	if err := cmd.Start(); err != nil {
		return Result{}, StartError{systemError(err)}
	}
	out.start()
	errs.start()
	limits := c.checkLimits(cmd.Process.Pid)
	if limits != nil {
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(limits)
		r, _ := supervise(ctx, cmd, out, errs)
		return r, limits
	}
	return supervise(ctx, cmd, out, errs)
}

func (c Command) prepare(out, errs *os.File) *exec.Cmd {
	cmd := &exec.Cmd{
		Path: c.Path, Args: append([]string{c.Path}, c.Args...), Dir: "/",
		// A nil environment would mean that of this process.
		Env:    append([]string{}, c.Env...),
		Stdout: out, Stderr: errs, ExtraFiles: c.Files,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	}
	if c.Input != nil {
		cmd.Stdin = c.Input
	}
	return cmd
}

// systemError removes the prefix of os/exec from the system's error: the path can be a
// descriptor in /proc.
func systemError(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// StartError reports that a helper could not be started.
type StartError struct{ Err error }

func (e StartError) Error() string { return "cannot start it: " + e.Err.Error() }

// Unwrap returns the system's error.
func (e StartError) Unwrap() error { return e.Err }

// TimeoutError reports that a helper was killed at its time limit.
type TimeoutError struct{ Limit time.Duration }

func (e TimeoutError) Error() string { return fmt.Sprintf("timed out after %s", e.Limit) }

// OutputError reports that a helper was killed because it printed too much.
type OutputError struct{ Limit int }

func (e OutputError) Error() string { return fmt.Sprintf("printed more than %d bytes", e.Limit) }

// HeldError reports that a helper left a process in another session that still holds
// its standard output: the output may be incomplete.
type HeldError struct{}

func (HeldError) Error() string { return "left a process behind that holds its output" }

// SignalError reports that a helper was ended by a signal.
type SignalError struct{ Signal syscall.Signal }

func (e SignalError) Error() string { return fmt.Sprintf("ended by signal %d", int(e.Signal)) }

// checkLimits checks the limits that a helper with other ids has inherited. It reads
// those of the helper: other processes of this process's account can change those of
// this process at any time (prlimit(2)), but not those of the helper.
func (c Command) checkLimits(pid int) error {
	if c.As == nil {
		return nil
	}
	short, err := rlimit.Shortages(pid)
	if err != nil || len(short) == 0 {
		return err
	}
	return fmt.Errorf("its %s: %s", short[0], short[0].Fix())
}
