// Package child runs the few helper programs that the privileged process asks:
// getent, the site's validation script and jacamar-keys. It is the one place where
// it starts anything before it has become the user, so the posture is decided
// once: the given environment and no other, a session of its own, an input that
// ends, a limit on time and on output, and at the end nobody of the process group
// alive.
package child

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Command is one helper to run.
type Command struct {
	Path string   // absolute; PATH is never searched
	Args []string // without the program's own name
	Env  []string // the whole environment
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
// TimeoutError, an OutputError, a HeldError or the context's cause; an exit
// status other than 0 is not an error here.
func (c Command) Run(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Limit, TimeoutError{c.Limit})
	defer cancel()
	// The parent-death signal is tied to the thread that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

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
