package jobrun

import (
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/dropcheck"
	"jacamar-ci/internal/proctree"
)

// settle makes this process independent of what started it.
func settle(socket, stdout, stderr *os.File) (out, errs *os.File, err error) {
	// Behind sudo the session is that of jacamar-auth, and maybe of the runner. One
	// that leads a group already has a session of its own (setsid(2)).
	_, _ = unix.Setsid()
	// Go's runtime writes its last words to descriptor 2, and to the socket, where
	// jacamar-auth reads them: they are of no use to the job's author.
	if err := debug.SetCrashOutput(socket, debug.CrashOptions{}); err != nil {
		return nil, nil, fmt.Errorf("cannot set where a crash is written: %w", err)
	}
	if out, err = move(stdout, "stdout"); err != nil {
		return nil, nil, err
	}
	errs, err = move(stderr, "stderr")
	return out, errs, err
}

// move gives a file another descriptor, and /dev/null its own. Go ends a program
// that writes to a broken pipe as descriptor 1 or 2: this one has work to do when
// the job's log is gone.
func move(file *os.File, name string) (*os.File, error) {
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

// reap ends processes of this account for a jacamar-auth that has not the right to.
// It ends with the conversation.
func reap(end *ipc.ChildConn, brief ipc.Request) error {
	if err := dropcheck.Verify(brief.Account, brief.Settings.Downscope != "none", brief.Start); err != nil {
		return err
	}
	for {
		c, err := end.Condemned()
		if err != nil {
			return nil
		}
		proctree.KillAll(c.PIDs, c.Below)
		if err := end.Done(); err != nil {
			return err
		}
	}
}
