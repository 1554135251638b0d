package subprocess

import (
	"context"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// supervise waits for the end of the helper, its time or its output limit, and
// then ends its whole process group.
//
// The helper is left a zombie until its group has been killed: while the kernel
// keeps its number, the group's number cannot have become another's.
func supervise(ctx context.Context, cmd *exec.Cmd, out, errs *drain) (Result, error) {
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
	// ESRCH, the only failure possible, means that the work is done.
	_ = unix.Kill(-pid, unix.SIGKILL)
	select {
	case <-exited:
	case <-time.After(grace):
		// Blocked in the kernel, on a dead file server say. It has its signal.
		return Result{}, cause
	}
	if err := cmd.Wait(); cmd.ProcessState == nil {
		// Somebody else in this process has waited for it.
		return Result{}, err
	}
	return collect(cmd, cause, out, errs)
}

func collect(cmd *exec.Cmd, cause error, out, errs *drain) (Result, error) {
	held := out.finish(time.Now().Add(grace))
	// Somebody who holds only the standard error cannot change the answer.
	errs.finish(time.Now().Add(stderrGrace))
	r := Result{Stdout: out.kept, Stderr: errs.kept}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		r.Signal = ws.Signal()
	} else {
		r.Code = cmd.ProcessState.ExitCode()
	}
	switch {
	case cause != nil:
		return r, cause
	case out.exceeded():
		return r, OutputError{out.limit}
	case held:
		return r, HeldError{}
	}
	return r, nil
}

// awaitExit returns when the process has ended, and does not reap it.
func awaitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}
