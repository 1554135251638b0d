package subprocess

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/pump"
)

// supervise waits for the end of the helper, its timeout or its output limit, and then
// kills its whole process group.
//
// The helper stays a zombie until its group has been killed: meanwhile the kernel
// cannot give the id of the group to another one.
func supervise(ctx context.Context, cmd *exec.Cmd, out, errs *capture) (Result, error) {
	pid := cmd.Process.Pid
	exited := make(chan struct{})
	go func() { awaitExit(pid); close(exited) }()

	var cause error
	select {
	case <-exited:
	case <-out.over:
		cause = OutputError{out.limit}
	case <-ctx.Done():
		cause = context.Cause(ctx)
	}
	// The only possible failure is ESRCH: no process is left.
	_ = unix.Kill(-pid, unix.SIGKILL)
	if cause != nil { // otherwise it has exited
		select {
		case <-exited:
		case <-time.After(grace):
			// Blocked in the kernel, for example on a dead file server. The signal is pending.
			return Result{}, cause
		}
	}
	if err := cmd.Wait(); cmd.ProcessState == nil {
		// Another part of this process has waited for it.
		return Result{}, err
	}
	return collect(cmd, cause, out, errs)
}

func collect(cmd *exec.Cmd, cause error, out, errs *capture) (Result, error) {
	held := out.finish(time.Now().Add(grace))
	// A process that only holds the standard error cannot change the output.
	errs.finish(time.Now().Add(stderrGrace))
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	r := Result{Stdout: out.data, Stderr: errs.data, Code: max(0, cmd.ProcessState.ExitCode())}
	switch {
	case cause != nil:
		return r, cause
	case out.exceeded():
		return r, OutputError{out.limit}
	case held:
		return r, HeldError{}
	case ok && status.Signaled():
		return r, SignalError{status.Signal()}
	}
	return r, nil
}

// awaitExit waits until the process has ended and does not reap it.
func awaitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// capture reads one output of a helper to its end and keeps its first bytes.
type capture struct {
	r, w  *os.File
	limit int
	data  []byte
	// over is closed once there was more than limit.
	over chan struct{}
	// done is closed at the end; cut reports that the deadline came first.
	done chan struct{}
	cut  bool
}

func newCapture(limit int) (*capture, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &capture{r: r, w: w, limit: limit, over: make(chan struct{}), done: make(chan struct{})}, nil
}

// start reads in the background. It closes this process's writing end, which would
// keep the pipe open; the helper has its own by now.
func (d *capture) start() {
	d.w.Close()
	go d.read()
}

func (d *capture) read() {
	defer close(d.done)
	chunk, from := make([]byte, 32<<10), pump.NewReader(d.r)
	for {
		n, err := from.Read(chunk)
		d.keep(chunk[:n])
		if err != nil {
			d.cut = os.IsTimeout(err)
			return
		}
	}
}

func (d *capture) keep(b []byte) {
	left := d.limit - len(d.data)
	if len(b) > left && !d.exceeded() {
		close(d.over)
	}
	d.data = append(d.data, b[:min(len(b), left)]...)
}

func (d *capture) exceeded() bool {
	select {
	case <-d.over:
		return true
	default:
		return false
	}
}

// finish waits for the end of the output until the deadline and reports whether a
// process still holds the writing end.
func (d *capture) finish(deadline time.Time) (held bool) {
	// Pipes support deadlines on every Linux that Go supports.
	_ = d.r.SetReadDeadline(deadline)
	<-d.done
	return d.cut
}

func (d *capture) close() {
	d.r.Close()
	d.w.Close()
}
