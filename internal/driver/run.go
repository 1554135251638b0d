package driver

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/version"
)

// Order is what a stage runs.
type Order struct {
	Request ipc.Request
	Script  []byte
	// Start starts jacamar as the account, with these files as its output, and returns
	// the state of the new process that jacamar has to verify.
	Start func(stdout, stderr *os.File) (*monitor.Child, inherit.Start, error)
	// Account begins to signal as the account; see monitor.Monitor.
	Account func() (monitor.Account, error)
	// Left is called with an error that names the processes that could not be ended.
	Left func(error)
	// Note and Used are those of monitor.Monitor; they may be nil.
	Note func(ipc.Note)
	Used func(proctree.Usage)
}

// Run starts jacamar, sends it the request and returns its result at the end of the
// stage.
func (s *Session) Run(o Order) (ipc.Result, error) {
	m := monitor.Monitor{
		Runner: s.Stdout, KillTimeout: s.Site.General.KillTimeout, UID: uint32(o.Request.Account.UID),
		Account: o.Account, Left: o.Left, Note: o.Note, Used: o.Used,
	}
	stdout, stderr, err := m.Outputs(s.jobOutput(), s.Stderr)
	if err != nil {
		return ipc.Result{}, err
	}
	if err := m.Ready(); err != nil {
		return ipc.Result{}, fmt.Errorf("cannot monitor the job: %w", err)
	}
	child, start, err := o.Start(stdout, stderr)
	stdout.Close()
	stderr.Close()
	if errors.Is(err, unix.EAGAIN) {
		err = crowded(proctree.Tasks(m.UID), processLimit(), err)
	}
	if err != nil {
		return ipc.Result{}, err
	}
	o.Request.Start = start
	conn := ipc.NewParentConn(child.Socket)
	// Not before the wait, but during it: the account may have stopped its jacamar,
	// which then reads nothing, and the runner must still be able to end the job.
	go func() {
		if conn.Send(o.Request, o.Script) != nil {
			child.Cut()
		}
	}()
	result, err := m.Wait(child, conn)
	return result, s.explainStop(err)
}

// crowded explains a start that failed because no process could be made (EAGAIN in fork(2) and
// execve(2)). The account, which has so many tasks, is at the limit that it has from this
// process, or the machine or the service allows no more.
func crowded(tasks int, limit uint64, cause error) error {
	if uint64(tasks) < limit {
		limit = 0
	}
	return failure.Crowded(tasks, limit, cause)
}

// processLimit is this process's limit on the tasks of an account, 0 where it cannot be read.
func processLimit() uint64 {
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NPROC, &limit)
	return limit.Cur
}

// jobOutput keeps the config stage's standard output for its answer alone.
func (s *Session) jobOutput() *os.File {
	if s.Call.Stage == job.Config {
		return s.Stderr
	}
	return s.Stdout
}

// Answer prints the answer of the config stage: the directories, and the state for the
// later stages of the job.
func (s *Session) Answer(dirs ipc.Dirs, state string) error {
	return customexec.NewConfigOutput(dirs.Builds, dirs.Cache, version.Number(), state).Write(s.Stdout)
}

// WarnUser prints a line in the job's log.
func (s *Session) WarnUser(err error) { joblog.NewWriter(s.Log()).Warn("%v", err) }

// limit is a time after which GitLab Runner stops a job, or a stage of it.
type limit struct {
	// subject is what the limit is of, name what sets it.
	subject, name string
	// most is the limit, 0 for none; spent is what was used of it.
	most, spent time.Duration
	fix         string
}

// reached reports whether the limit has ended. The runner's clock begins a moment before
// this process can know of the job.
func (l limit) reached() bool {
	return l.most > 0 && l.spent >= l.most-min(5*time.Second, l.most/10)
}

// stopCause describes what has stopped a job: the first of the limits that it has reached.
// The runner reports no other reason to its driver.
func stopCause(limits []limit) (cause, fix string) {
	for _, l := range limits {
		if l.reached() {
			return fmt.Sprintf("%s reached %s (%s)", l.subject, l.name, l.most), l.fix
		}
	}
	return "it was cancelled in GitLab, or the runner's service was stopped", ""
}

// explainStop completes the error of a stage that was stopped.
func (s *Session) explainStop(err error) error {
	if err == nil {
		return nil
	}
	cause, fix := stopCause(s.limits(time.Now()))
	return failure.Because(err, cause, fix)
}

// limits are those of the stage and of its job.
// Source: https://docs.gitlab.com/ci/runners/configure_runners/#set-script-and-after_script-timeouts
func (s *Session) limits(now time.Time) (all []limit) {
	stage := now.Sub(s.Started)
	if s.Call.Stage == job.Run {
		all = append(all, s.scriptLimit(stage))
	}
	written, err := os.Stat(s.Env.Response.String())
	if err != nil {
		return all
	}
	return append(all, limit{
		"it", "its timeout in GitLab", time.Duration(s.Facts.Timeout) * time.Second, now.Sub(written.ModTime()),
		"set a longer timeout: of the job in .gitlab-ci.yml, as far as the project and the runner allow it",
	})
}

// defaultAfterScript is the runner's own limit of after_script.
const defaultAfterScript = 5 * time.Minute

// scriptLimit is the limit of the stage's script alone, zero where it has none.
func (s *Session) scriptLimit(spent time.Duration) limit {
	l := limit{subject: "the script", name: "RUNNER_SCRIPT_TIMEOUT", spent: spent}
	switch {
	case s.Call.SubStage == "after_script":
		l.subject, l.name, l.most = "after_script", "RUNNER_AFTER_SCRIPT_TIMEOUT", defaultAfterScript
	case s.Call.SubStage != "build_script" && !strings.HasPrefix(s.Call.SubStage, "step_"):
		return limit{}
	}
	text, _ := s.Env.Variable(l.name)
	if given, err := time.ParseDuration(text); err == nil {
		l.most = given
	}
	l.fix = "set a longer time in the CI variable " + l.name
	return l
}
