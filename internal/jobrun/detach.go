package jobrun

import (
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/dropcheck"
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
	if out, err = moveOutput(stdout, "stdout"); err != nil {
		return nil, nil, err
	}
	errs, err = moveOutput(stderr, "stderr")
	return out, errs, err
}

// moveOutput moves a file to another descriptor, and replaces it by /dev/null. Go ends a
// program that writes to a broken pipe on descriptor 1 or 2, but this one must clean up
// after the job's log is closed.
func moveOutput(file *os.File, name string) (*os.File, error) {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("cannot keep %s: %w", name, err)
	}
	null, err := unix.Open(os.DevNull, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", os.DevNull, err)
	}
	if err := unix.Dup3(null, int(file.Fd()), 0); err != nil {
		return nil, fmt.Errorf("cannot replace %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), unix.Close(null)
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
