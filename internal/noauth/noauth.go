// Package noauth runs jobs without authorization, for an account that has a runner of
// its own: everyone who can send jobs to that runner can act as that account. It reads
// the same configuration as jacamar-auth, and of it all that is not about who may run;
// it has no privileges, no token and no network.
package noauth

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/internal/passwd"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/trustedfile"
)

// Main carries out one call of the runner and returns the exit status. Nothing has to
// be hidden from the account: it reads every error in full, and its jobs have its own
// limit on core files.
func Main(call driver.Call) int {
	call.Unobfuscated = true
	session, err := driver.Open(call)
	s := &ownSession{Session: session}
	if err == nil {
		err = unix.Setrlimit(unix.RLIMIT_CORE, &session.Core)
	}
	if err == nil {
		err = crash.Recovered(func() error { return s.serve(context.Background()) })
	}
	status, _ := s.Finish(err)
	return status
}

// ownSession is a session whose job runs as the account of this process.
type ownSession struct {
	driver.Session
	state   state
	account job.Account
}

func (s *ownSession) serve(ctx context.Context) (err error) {
	if os.Geteuid() == 0 {
		return failure.Configf("--no-auth is not for root: all jobs would run as root")
	}
	if s.EnvErr != nil {
		return s.EnvErr
	}
	if s.state, s.Resumed, err = decodeState(s.Env.State); err != nil {
		return err
	}
	if err = s.FindConfiguration(s.state.Configuration); err != nil {
		return err
	}
	if err = s.LoadConfiguration(); err != nil || s.NothingToCleanUp() {
		return err
	}
	script, err := s.ReadInput()
	if err != nil {
		return err
	}
	if s.account, err = ownAccount(ctx); err != nil {
		return err
	}
	return s.run(script)
}

// run runs the stage, and answers the config stage.
func (s *ownSession) run(script []byte) error {
	jacamar, err := s.Jacamar(trustedfile.Self())
	if err != nil {
		return err
	}
	request, err := s.Request(s.account, s.state.Dirs, s.matches)
	if err != nil {
		return err
	}
	request.Settings.Downscope = settings.None
	request.MayRun = s.Call.Stage == job.Cleanup // no record has how the stages ended
	start := func(stdout, stderr *os.File) (*monitor.Child, inherit.Start, error) {
		return s.start(jacamar, inherit.Start{NoNewPrivs: request.Settings.ConfinesJacamar()}, stdout, stderr)
	}
	result, err := s.Run(driver.Order{Request: request, Script: script, Start: start, Left: s.WarnUser})
	for _, l := range result.Left {
		s.WarnUser(fmt.Errorf("left behind: %s", l.Reason))
	}
	if err != nil || s.Call.Stage != job.Config {
		return err
	}
	text, err := state{Configuration: s.File, Dirs: result.Dirs}.encode()
	if err != nil {
		return err
	}
	return s.Answer(result.Dirs, text)
}

// start starts jacamar in a session of its own.
func (s *ownSession) start(jacamar job.AbsPath, start inherit.Start, stdout, stderr *os.File) (*monitor.Child, inherit.Start, error) {
	child, err := monitor.Start(func(socket *os.File) (int, error) {
		return s.Thread.Run(func(t *inherit.Thread) (pid int, err error) {
			if start, err = t.Shed(start, s.account.UID); err != nil {
				return 0, err
			}
			return syscall.ForkExec(jacamar.String(), []string{jacamar.String(), string(s.Call.Stage)}, &syscall.ProcAttr{
				Dir: "/", Env: monitor.Environ(), Files: []uintptr{socket.Fd(), stdout.Fd(), stderr.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
			})
		})
	})
	if err != nil {
		return nil, start, fmt.Errorf("cannot start %s: %w", jacamar, err)
	}
	return child, start, nil
}

// matches reports whether a rule is for this job. What only a token proves cannot be
// required here.
func (s *ownSession) matches(r config.Matcher) (bool, error) {
	if !r.Project.IsZero() || !r.Namespace.IsZero() || r.RefProtected != nil {
		return false, failure.Configf("a rule has a project, a namespace or ref_protected, which --no-auth cannot verify")
	}
	return r.User == (job.Username{}) || r.User == s.account.Name, nil
}

// state is what the config stage decided for the later stages of the same job. It is
// passed in job_env.
type state struct {
	Version       string      `json:"v"`
	Configuration job.AbsPath `json:"config"`
	Dirs          ipc.Dirs    `json:"dirs"`
}

// stateVersion is none of jacamar-auth's: a runner that changes from one to the other
// during a job gets an error.
const stateVersion = "no-auth 1"

func (s state) encode() (string, error) {
	s.Version = stateVersion
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("cannot write the job's state: %w", err)
	}
	return string(text), nil
}

// decodeState reads the state. Without one there was no config stage before.
func decodeState(text string) (s state, resumed bool, err error) {
	if text == "" {
		return s, false, nil
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, false, failure.Privatef("cannot read the job's state: %w", err)
	}
	if s.Version != stateVersion {
		return s, false, failure.Privatef("cannot read the job's state: version %q, not %q (was the package upgraded during the job?)", s.Version, stateVersion)
	}
	return s, true, nil
}

const (
	// getent queries all name services; a static program alone would read only
	// /etc/passwd.
	getent      = "/usr/bin/getent"
	getentLimit = 20 * time.Second
)

// ownAccount is the account that this process runs as.
func ownAccount(ctx context.Context) (job.Account, error) {
	ctx, cancel := context.WithTimeout(ctx, getentLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, getent, "passwd", strconv.Itoa(os.Geteuid()))
	cmd.Env, cmd.Dir = []string{"LC_ALL=C"}, "/"
	out, err := cmd.Output()
	if err != nil {
		return job.Account{}, failure.Privatef("cannot find the account of uid %d: getent: %w", os.Geteuid(), err)
	}
	a, err := passwd.Parse(string(out))
	if err != nil {
		return job.Account{}, failure.Privatef("cannot use the account of uid %d: %w", os.Geteuid(), err)
	}
	return a, nil
}
