// Package subprocess runs the few helper programs that the privileged process asks:
// getent, the site's validation script and jacamar-keys. It is the one place where
// it starts anything before it has become the user, so the posture is decided
// once: the given ids and environment and no others, a session of its own, an input
// that ends, a limit on time and on output, and at the end no process of the process
// group alive.
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
)

// Command is one helper to run.
type Command struct {
	Path string   // absolute; PATH is never searched
	Args []string // without the program's own name
	Env  []string // the whole environment
	// As are the ids that the helper runs with; nil is this process's own. It never
	// has others, not for a moment: whoever has this process's account could
	// otherwise take hold of it.
	As *thread.IDs
	// NoNewPrivs makes setuid bits and file capabilities of whatever the helper
	// executes void (PR_SET_NO_NEW_PRIVS in prctl(2)).
	NoNewPrivs bool
	// Input is the helper's standard input; nil is /dev/null.
	Input *os.File
	// Files become the descriptors 3, 4, … of the helper, and of what it starts.
	Files []*os.File
	Limit time.Duration
	// MaxOutput bounds the standard output in bytes. A helper that prints more is
	// ended: a cut answer is no answer.
	MaxOutput int
	// MaxErrors bounds the standard error in bytes; what is over it is dropped.
	MaxErrors int
}

// Result is what an ended helper left.
type Result struct {
	Stdout []byte
	Stderr []byte
	// Code is the exit status, 0 to 255; meaningless when Signal is set.
	Code int
	// Signal ended the helper; 0 when it ended by itself.
	Signal syscall.Signal
}

// grace is how long the kernel may take to end what was killed, and how long
// the last output may take to arrive.
const grace = 2 * time.Second

// stderrGrace is the same for the standard error, which often stays with a
// helper's own daemon (an ssh master connection, say).
const stderrGrace = 100 * time.Millisecond

// Run starts the helper and waits for its end. The error is a StartError, a
// TimeoutError, an OutputError, a HeldError, a LimitError or the context's cause; an
// exit status other than 0 is not an error here.
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

// prepareThread makes the calling thread what the helper must be.
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
	out, err := newDrain(c.MaxOutput)
	if err != nil {
		return Result{}, StartError{err}
	}
	defer out.close()
	errs, err := newDrain(c.MaxErrors)
	if err != nil {
		return Result{}, StartError{err}
	}
	defer errs.close()
	cmd := c.prepare(out.w, errs.w)
	if err := cmd.Start(); err != nil {
		return Result{}, StartError{reason(err)}
	}
	out.start()
	errs.start()
	limits := c.judgeLimits(cmd.Process.Pid)
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
		// A nil environment would mean our own.
		Env:    append([]string{}, c.Env...),
		Stdout: out, Stderr: errs, ExtraFiles: c.Files,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	}
	if c.Input != nil {
		cmd.Stdin = c.Input
	}
	return cmd
}

// reason takes off what os/exec puts before the system's error: the path can be
// one that says nothing to a reader.
func reason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
