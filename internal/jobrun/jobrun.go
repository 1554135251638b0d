// Package jobrun is the unprivileged part of Jacamar: it runs one stage of a job as the
// job's user. Its only input is the request from jacamar-auth: it uses no configuration
// file, no token and no network.
package jobrun

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/confine"
	"jacamar-ci/internal/jobrun/internal/dropcheck"
	"jacamar-ci/internal/jobrun/internal/executor"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/lockdown"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/settings"
)

// Serve receives a request from the socket that is standard input, runs the stage and
// reports the result. It returns an error only when it cannot report.
func Serve(stdout, stderr *os.File) error {
	socket, err := takeSocket()
	if err != nil {
		return err
	}
	conn, request, script, err := receiveRequest(socket)
	if err != nil {
		return err
	}
	if stdout, stderr, err = detach(socket, stdout, stderr); err != nil {
		return err
	}
	if err := conn.Hello(hello()); err != nil {
		return fmt.Errorf("jacamar-auth has ended: %w", err)
	}
	if request.Reap {
		return reap(conn, request)
	}
	s := stage{request: request, script: script, stop: listenControl(conn), note: conn.Note, stdout: stdout, stderr: stderr}
	result, err := s.run()
	select {
	case <-s.stop.Abort:
		// If the result still arrives, it must not be the script's.
		err = errors.New("the connection to jacamar-auth was lost")
	default:
	}
	if err := conn.Report(result.report(err)); err != nil {
		return fmt.Errorf("jacamar-auth has ended before the stage: %w", err)
	}
	return nil
}

// stageResult is the result of a stage in addition to its error.
type stageResult struct {
	dirs ipc.Dirs
	left []ipc.Leftover // what could not be removed
}

// report is the result for jacamar-auth, with the stage's error.
func (r stageResult) report(err error) ipc.Result {
	return ipc.ResultOf(err, r.dirs).WithLeft(r.left).WithMade(!r.dirs.Builds.IsZero())
}

// requestTimeout bounds the wait for the request, which jacamar-auth sends at once. A
// jacamar-auth that takes the start for a failed one waits for this process to end.
const requestTimeout = 30 * time.Second

func receiveRequest(socket *os.File) (conn *ipc.ChildConn, request ipc.Request, script []byte, err error) {
	if err = setReadTimeout(socket, requestTimeout); err != nil {
		return nil, request, nil, err
	}
	conn, request, script, err = ipc.Accept(socket)
	return conn, request, script, errors.Join(err, setReadTimeout(socket, 0))
}

// setReadTimeout bounds reads of the socket; 0 means no limit.
func setReadTimeout(socket *os.File, limit time.Duration) error {
	timeout := unix.NsecToTimeval(limit.Nanoseconds())
	if err := unix.SetsockoptTimeval(int(socket.Fd()), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return fmt.Errorf("cannot set the timeout for the request: %w", err)
	}
	return nil
}

// takeSocket moves the socket away from descriptor 0, so that no process of the job can
// inherit it.
func takeSocket() (*os.File, error) {
	if kind, err := unix.GetsockoptInt(0, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || kind != unix.AF_UNIX {
		return nil, fmt.Errorf("standard input is not the socket of jacamar-auth: only jacamar-auth can start jacamar")
	}
	return lockdown.MoveFile(os.Stdin, "ipc socket")
}

// listenControl forwards jacamar-auth's control messages to channels.
func listenControl(conn *ipc.ChildConn) process.Stop {
	terminate, abort := make(chan struct{}), make(chan struct{})
	go func() {
		if conn.Next() == ipc.ParentGone {
			close(abort) // first: receivers of terminate check abort
			close(terminate)
			return
		}
		close(terminate)
		for conn.Next() != ipc.ParentGone {
		}
		close(abort)
	}()
	return process.Stop{Terminate: terminate, Abort: abort}
}

// stage is one stage of a job.
type stage struct {
	request        ipc.Request
	script         []byte
	stop           process.Stop
	note           func(ipc.Note) error // reports to jacamar-auth
	stdout, stderr *os.File
}

// verifyDrop verifies that this process is nothing but the request's account.
func verifyDrop(r ipc.Request) error {
	return dropcheck.Verify(r.Account, r.Settings.Downscope != settings.None, r.Start)
}

func (s stage) run() (stageResult, error) {
	if err := verifyDrop(s.request); err != nil {
		return stageResult{}, err
	}
	switch s.request.Stage {
	case job.Config:
		return s.config()
	case job.Prepare:
		return stageResult{}, s.prepare()
	case job.Run:
		return stageResult{}, s.runScript()
	default:
		return s.cleanup()
	}
}

// newReaper starts programs for this stage. Scripts are confined; commands of a batch
// system are not.
func (s stage) newReaper(confined bool) (*process.Reaper, error) {
	return process.NewReaper(func() error {
		if err := inherit.Settle(s.request.Start, s.request.Account.UID); err != nil {
			return explainKeyLimit(err)
		}
		if !confined {
			return nil
		}
		return confine.Job(s.request.Settings.Confinement)
	})
}

// explainKeyLimit adds a hint about the account's limit of keys.
func explainKeyLimit(err error) error {
	if errors.Is(err, unix.EDQUOT) {
		return failure.Systemf("%w", err).WithHint("your account has as many keys as the kernel allows (/proc/key-users): remove some with keyctl, or end sessions that hold them")
	}
	return err
}

// noteBatch reports the phase of the stage's batch job. A note that cannot be sent has no
// receiver any more, which ends the job by itself.
func (s stage) noteBatch(n ipc.BatchNote) { _ = s.note(ipc.Note{Batch: &n}) }

func (s stage) runScript() error {
	if err := confine.Process(s.request.Settings.Confinement); err != nil {
		return err
	}
	in := s.enterBuilds()
	defer in.close()
	submits := executor.Submits(s.request)
	reaper, err := s.newReaper(!submits)
	if err != nil {
		return err
	}
	began, counters := time.Now(), countersOf(submits)
	kills := memoryKills(counters)
	err = s.execute(reaper)
	if reaper.HasStarted() && !submits {
		s.writeEnd(time.Since(began), err)
	}
	if err != nil {
		s.warnLine(memoryWarning(kills, memoryKills(counters)))
		in.fault = cmp.Or(in.fault, s.storageFault())
	}
	return in.blame(err, s.stop)
}

// execute runs the script where the job runs: by a batch system, in a container or here.
func (s stage) execute(reaper *process.Reaper) error {
	switch {
	case executor.Submits(s.request):
		return s.submit(reaper)
	case executor.InContainer(s.request):
		return s.runInContainer(reaper)
	}
	return executor.NewLocal(s.request, reaper, s.stdout, s.stderr).Run(s.script, s.stop)
}

// storageFault returns the fault of the storage by which a script has failed, nil for none. A
// full disk is not the site's fault, but a command that failed on one seldom reports which.
func (s stage) storageFault() error {
	fault := s.readOnly()
	if fault == nil {
		s.warnLine(s.spaceWarning())
	}
	return fault
}

// warnLine writes a warning into the job's log, unless it is empty.
func (s stage) warnLine(line string) {
	if line != "" {
		joblog.NewWriter(s.stdout).Warn("%s", line)
	}
}

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
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NPROC, &limit)
	return ipc.Hello{PID: os.Getpid(), Processes: processes(limit, err)}
}

// processes is a limit on processes, 0 for none and for one that is not known.
func processes(limit unix.Rlimit, err error) uint64 {
	if err != nil || limit.Cur == unix.RLIM_INFINITY {
		return 0
	}
	return limit.Cur
}

// reap ends processes of this account for a jacamar-auth without the right to do so. It
// returns when the connection ends.
func reap(conn *ipc.ChildConn, request ipc.Request) error {
	if err := verifyDrop(request); err != nil {
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
