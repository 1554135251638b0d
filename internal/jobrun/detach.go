package jobrun

import (
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/dropcheck"
	"jacamar-ci/internal/lockdown"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/settings"
)

// detach makes this process independent of the process that started it.
func detach(socket, stdout, stderr *os.File) (out, errs *os.File, err error) {
	// Under sudo the session is that of jacamar-auth, or of the runner. setsid(2) fails
	// for the leader of a process group, which has a session of its own already.
	_, _ = unix.Setsid()
	// Go's runtime writes a crash report to descriptor 2, and to the socket, where
	// jacamar-auth reads it: it is of no use to the job's author.
	if err := debug.SetCrashOutput(socket, debug.CrashOptions{}); err != nil {
		return nil, nil, fmt.Errorf("cannot set where a crash is written: %w", err)
	}
	if out, err = lockdown.MoveFile(stdout, "stdout"); err != nil {
		return nil, nil, err
	}
	errs, err = lockdown.MoveFile(stderr, "stderr")
	return out, errs, err
}

func hello() ipc.Hello {
	h := ipc.Hello{PID: os.Getpid()}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NPROC, &limit) == nil && limit.Cur != unix.RLIM_INFINITY {
		h.Processes = limit.Cur
	}
	return h
}

// reap ends processes of this account for a jacamar-auth without the right to do so. It
// returns when the connection ends.
func reap(conn *ipc.ChildConn, request ipc.Request) error {
	if err := dropcheck.Verify(request.Account, request.Settings.Downscope != settings.None, request.Start); err != nil {
		return err
	}
	for {
		c, err := conn.Condemned()
		if err != nil {
			return nil
		}
		proctree.KillAll(c.PIDs, c.Below)
		if err := conn.Done(); err != nil {
			return err
		}
	}
}
