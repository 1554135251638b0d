// Package jobrun is the unprivileged half: it runs one stage of a job as the
// job's user. It knows what the brief tells it and nothing else: no
// configuration file, no token, no network.
package jobrun

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/batch"
	"jacamar-ci/internal/jobrun/internal/confine"
	"jacamar-ci/internal/jobrun/internal/dropcheck"
	"jacamar-ci/internal/jobrun/internal/executor"
	"jacamar-ci/internal/jobrun/internal/process"
)

// Serve takes its orders from the socket that is standard input, runs the stage
// and reports. It returns an error only when there is nobody to report to.
func Serve(stdout, stderr *os.File) error {
	socket, err := takeSocket()
	if err != nil {
		return err
	}
	end, brief, script, err := accept(socket)
	if err != nil {
		return err
	}
	if stdout, stderr, err = settle(socket, stdout, stderr); err != nil {
		return err
	}
	if err := end.Hello(hello()); err != nil {
		return fmt.Errorf("jacamar-auth has ended: %w", err)
	}
	if brief.Reap {
		return reap(end, brief)
	}
	s := stage{brief: brief, script: script, stop: listen(end), stdout: stdout, stderr: stderr}
	settled, err := s.run()
	select {
	case <-s.stop.Abort:
		// Should the result arrive all the same, it must not be the script's.
		err = errors.New("jacamar-auth was lost")
	default:
	}
	if err := end.Report(ipc.ResultOf(err, settled.dirs).WithLeft(settled.left)); err != nil {
		return fmt.Errorf("jacamar-auth has ended before the stage: %w", err)
	}
	return nil
}

// settled is what a stage came to beside its success.
type settled struct {
	dirs ipc.Dirs
	left []ipc.Leftover // what could not be removed
}

// briefLimit is how long the brief may be on its way. It is sent at once; a
// jacamar-auth that took a start for a failed one waits for this process to end.
const briefLimit = 30 * time.Second

func accept(socket *os.File) (end *ipc.ChildConn, brief ipc.Request, script []byte, err error) {
	if err = patience(socket, briefLimit); err == nil {
		end, brief, script, err = ipc.Accept(socket)
	}
	if err == nil {
		err = patience(socket, 0)
	}
	return end, brief, script, err
}

// patience is how long a read of the socket waits, 0 for as long as it takes.
func patience(socket *os.File, limit time.Duration) error {
	timeout := unix.NsecToTimeval(limit.Nanoseconds())
	if err := unix.SetsockoptTimeval(int(socket.Fd()), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return fmt.Errorf("cannot limit the wait for the brief: %w", err)
	}
	return nil
}

// takeSocket moves the socket away from descriptor 0, so that nothing which the
// job starts can ever inherit it.
func takeSocket() (*os.File, error) {
	if kind, err := unix.GetsockoptInt(0, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || kind != unix.AF_UNIX {
		return nil, fmt.Errorf("standard input is not jacamar-auth's socket: jacamar is started by jacamar-auth alone")
	}
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("cannot keep the socket: %w", err)
	}
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", os.DevNull, err)
	}
	if err := unix.Dup3(null, 0, 0); err != nil {
		return nil, fmt.Errorf("cannot replace standard input: %w", err)
	}
	return os.NewFile(uintptr(fd), "handoff"), unix.Close(null)
}

// listen turns jacamar-auth's orders into channels.
func listen(end *ipc.ChildConn) executor.Stop {
	asked, lost := make(chan struct{}), make(chan struct{})
	go func() {
		if end.Next() == ipc.ParentGone {
			close(lost) // first: whoever is asked to stop must see why
			close(asked)
			return
		}
		close(asked)
		for end.Next() != ipc.ParentGone {
		}
		close(lost)
	}()
	return executor.Stop{Terminate: asked, Abort: lost}
}

// stage is one stage at work.
type stage struct {
	brief          ipc.Request
	script         []byte
	stop           executor.Stop
	stdout, stderr *os.File
}

func (s stage) run() (settled, error) {
	if err := dropcheck.Verify(s.brief.Account, s.brief.Settings.Downscope != "none", s.brief.Start); err != nil {
		return settled{}, err
	}
	switch s.brief.Stage {
	case job.Config:
		return s.config()
	case job.Prepare:
		return settled{}, s.prepare()
	case job.Run:
		return settled{}, s.runScript()
	default:
		return s.cleanup()
	}
}

// family starts programs for this stage. Scripts are confined; what talks to a
// batch system is not.
func (s stage) family(confined bool) (*process.Reaper, error) {
	return process.NewReaper(func() error {
		if err := inherit.Settle(s.brief.Start, s.brief.Account.UID); err != nil {
			return unsettled(err)
		}
		if !confined {
			return nil
		}
		return confine.Job(s.brief.Settings.Confinement)
	})
}

// unsettled explains what the account itself can do about it.
func unsettled(err error) error {
	if errors.Is(err, unix.EDQUOT) {
		return failure.Systemf("%w", err).WithHint("your account has as many keys as the kernel allows (/proc/key-users): remove some with keyctl, or end sessions that hold them")
	}
	return err
}

func (s stage) runScript() error {
	if err := confine.Process(s.brief.Settings.Confinement); err != nil {
		return err
	}
	if presence := s.attend(); presence != nil {
		defer presence.Close()
	}
	submits := executor.Submits(s.brief)
	family, err := s.family(!submits)
	if err != nil {
		return err
	}
	if submits {
		err = executor.NewBatch(s.brief, family, s.stdout).Run(s.script, batch.Stop(s.stop))
	} else {
		err = executor.Local{
			Family: family, Shell: executor.NewShell(s.brief), Profiles: executor.NewProfiles(s.brief),
			Stdout: s.stdout, Stderr: s.stderr, Voice: joblog.NewWriter(s.stdout),
			Grace: s.brief.Settings.KillTimeout * 9 / 10,
		}.Run(s.script, s.stop)
	}
	if err != nil {
		// A command that met a full disk seldom says whose it was and how full.
		if line := s.pressure(); line != "" {
			joblog.NewWriter(s.stdout).Warn("%s", line)
		}
	}
	return err
}
