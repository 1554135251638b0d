// Package driver serves one call of GitLab Runner, one stage of one job, whichever
// program authorizes the job: it takes in what the runner passes, starts jacamar,
// waits for the end of the stage and reports it to the user and to the runner.
//
// For whom jacamar runs, and what is trusted before that is known, is the caller's
// part: the functions serve in the packages auth and noauth.
package driver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/lockdown"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/programs"
	"jacamar-ci/internal/trustedfile"
)

// Call is the command line of one call by the runner.
type Call struct {
	Stage job.Stage
	// Configuration is the file that config and cleanup name; the other stages have it
	// from the config stage.
	Configuration string
	// Script and SubStage are given to run.
	Script   string
	SubStage string
	// Unobfuscated shows every error to the job's user in full (-u).
	Unobfuscated bool
}

// Session is one call in progress. Its fields are set one after the other: first those
// of the process, then those that were read.
type Session struct {
	Call Call
	Env  customexec.Environ
	// EnvErr is why Env cannot be used, nil if it can. The caller reports it once the
	// configuration has named the operator's log.
	EnvErr         error
	Stdout, Stderr *os.File
	Started        time.Time
	// Thread starts the first jacamar.
	Thread *inherit.Thread
	// owner is the process of the runner, ownerErr why that is not known.
	owner    proctree.Process
	ownerErr error
	// Core is the limit on core files that this process started with.
	Core unix.Rlimit

	// Resumed reports that the config stage of the job left state for this stage.
	Resumed bool
	// File is the configuration, Site its contents.
	File  job.AbsPath
	Site  config.Config
	Facts customexec.Response
	// Image is the image that the job runs in, "" for none.
	Image string
}

// Open locks this process down and reads its environment. It is called first, on the
// first thread. The session can be finished even where there is an error, or an EnvErr.
func Open(call Call) (Session, error) {
	// A write to a broken pipe, as after a runner's death, must not end this process before
	// it has recorded the end of the stage.
	stdout, stderr, moved := outputs()
	thread := inherit.NewThread()
	inherited, locked := lockdown.Enter()
	env, envErr := customexec.ParseEnviron(inherited.Environ)
	var err error
	if locked = errors.Join(locked, moved); locked != nil {
		err = failure.Configf("cannot lock this process down: %w", locked)
	}
	owner, ownerErr := ownerBy(stdout)
	return Session{
		owner: owner, ownerErr: ownerErr, Call: call, Env: env, EnvErr: envErr, Stdout: stdout, Stderr: stderr, Started: time.Now(), Thread: thread, Core: inherited.Core,
	}, err
}

// Owner is the process of the runner, which owns the job.
func (s *Session) Owner() (proctree.Process, error) { return s.owner, s.ownerErr }

// ownerBy is the parent of this process, while that can read the output. A process whose
// parent has ended gets another one, which would own the job for as long as it runs. By then
// the kernel has closed the runner's end of the output.
func ownerBy(output *os.File) (proctree.Process, error) {
	owner, _ := proctree.Find(os.Getppid())
	if monitor.IsUnread(output) {
		return proctree.Process{}, failure.Privatef("the runner has ended")
	}
	return owner, nil
}

// outputs moves both outputs.
func outputs() (stdout, stderr *os.File, err error) {
	stdout, failed := moved(os.Stdout, "stdout")
	stderr, err = moved(os.Stderr, "stderr")
	return stdout, stderr, errors.Join(failed, err)
}

// moved moves an output. One that cannot be moved stays where it is.
func moved(file *os.File, name string) (*os.File, error) {
	to, err := lockdown.MoveFile(file, name)
	if err != nil {
		return file, err
	}
	return to, nil
}

// Misuse finishes a call with arguments that cannot be used. In a call by the runner they
// are from its configuration. It returns the failure to be recorded, nil for none.
func (s *Session) Misuse(program string, why error) (status int, final error) {
	if !s.Env.ByRunner {
		fmt.Fprintf(s.Stderr, "%s: %v\n", program, why)
		return failure.DefaultCodes().System, nil
	}
	return s.Finish(failure.Configf("cannot use the arguments in [runners.custom] of the runner's config.toml: %w", why))
}

// FindConfiguration sets File: to the file of the command line, or to the one that the
// config stage of this job was given, zero in the config stage itself.
func (s *Session) FindConfiguration(first job.AbsPath) error {
	s.File = first
	if s.Call.Configuration != "" {
		named, err := job.ParseAbsPath(s.Call.Configuration)
		if err != nil {
			return failure.Configf("--configuration: %w", err)
		}
		if s.Resumed && named != first {
			return failure.Configf("the job began with the configuration %s, and now it is %s", first, named)
		}
		s.File = named
	}
	if s.File.IsZero() {
		return failure.Privatef("no --configuration, and no config stage has named one")
	}
	return nil
}

// LoadConfiguration sets Site from File.
func (s *Session) LoadConfiguration() (err error) {
	s.Site, err = config.Load(s.File)
	return err
}

// NothingToCleanUp reports whether this is the cleanup of a job whose config stage
// failed.
func (s *Session) NothingToCleanUp() bool { return s.Call.Stage == job.Cleanup && !s.Resumed }

// ReadInput reads the files that the runner passes for the stage: the script, which it
// returns, and the job response. It checks the resource limits that the runner passes on.
func (s *Session) ReadInput() (script []byte, err error) {
	if err = s.checkLimits(); err != nil {
		return nil, err
	}
	if script, err = s.Env.Script(s.Call.Stage, s.Call.Script); err != nil {
		return nil, err
	}
	if s.Facts, err = customexec.ReadResponse(s.Env.Response); err != nil {
		return nil, err
	}
	return script, s.Env.TooLong(s.Site.Auth.MaxEnvChars)
}

// JacamarPath returns the configured jacamar, or else the one that is installed with
// this program.
func (s *Session) JacamarPath() (job.AbsPath, error) {
	if p := s.Site.Auth.JacamarPath; !p.IsZero() {
		return p, nil
	}
	return programs.Sibling("jacamar")
}

// Jacamar returns the program that runs stages, after it was judged: it runs as the
// job's user.
func (s *Session) Jacamar(trust trustedfile.Trust) (job.AbsPath, error) {
	p, err := s.JacamarPath()
	if err != nil {
		return p, err
	}
	return p, programs.Untrusted("run jobs", p, trust.CheckProgram(p))
}

// Log is where the job's log is. The config stage's standard output is for its answer,
// and cleanup's goes to the runner's own log only.
func (s *Session) Log() io.Writer {
	if s.Call.Stage == job.Prepare || s.Call.Stage == job.Run {
		return s.Stdout
	}
	return s.Stderr
}

// Finish reports to the user and to the runner how the call ended. It returns the exit
// status, and the error that this status stands for.
func (s *Session) Finish(err error) (status int, final error) {
	if err == nil {
		return 0, nil
	}
	line, hint := failure.ForUser(s.withoutStack(err), s.Call.Unobfuscated, s.jobName())
	lines := failure.LinesOf(err)
	if s.Call.Unobfuscated {
		// All faults of a configuration are one error of several lines.
		line, lines = firstLine(line, lines)
	}
	joblog.NewWriter(s.Log()).Fail(line, hint, lines...)
	if code, ok := failure.ScriptCode(err); ok {
		if failed := customexec.WriteExitCode(s.Env.CodeFile, code); failed != nil {
			return s.Env.Codes.System, failed
		}
	}
	return s.Env.Codes.Status(err), err
}

// firstLine separates the first line of a text from the others, which precede lines.
func firstLine(text string, lines []string) (first string, others []string) {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return all[0], append(all[1:], lines...)
}

// withoutStack replaces a crash, where it is shown in full, by its line: the stack is for
// the operator's log only.
func (s *Session) withoutStack(err error) error {
	var crashed *crash.Error
	if s.Call.Unobfuscated && errors.As(err, &crashed) {
		return failure.Systemf("%s", crashed.Line())
	}
	return err
}

// jobName names the job as its user knows it.
func (s *Session) jobName() string {
	if s.Facts.ID != 0 {
		return "job " + s.Facts.ID.String()
	}
	text, _ := s.Env.Variable("CI_JOB_ID")
	if hint, err := job.ParseID(text); err == nil {
		return "job " + hint.String()
	}
	return "this job's number"
}
