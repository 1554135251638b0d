// Package noauth runs jobs without authorization, for an account that has a
// runner of its own: whoever may send that runner jobs may be that account. It
// reads the same configuration as jacamar-auth does, and of it everything that
// is not about who may run; it has no privilege, no token and no network.
package noauth

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/lockdown"
)

// Call is the command line of one call by the runner.
type Call struct {
	Stage job.Stage
	// Configuration is the file that config and cleanup name.
	Configuration string
	// Script and SubStage are given to run.
	Script   string
	SubStage string
}

// Main carries out one call and returns the exit status for the runner.
func Main(call Call) int {
	thread := inherit.NewThread()
	was, err := lockdown.Enter()
	if err == nil {
		// There is nothing to hide from the account itself; its jobs have its limit.
		err = unix.Setrlimit(unix.RLIMIT_CORE, &was.Core)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "jacamar:", err)
		return failure.DefaultCodes().System
	}
	env, err := customexec.ParseEnviron(was.Environ)
	d := &driver{call: call, env: env, thread: thread, stdout: os.Stdout, stderr: os.Stderr}
	if err == nil {
		err = d.serve(context.Background())
	}
	return d.finish(err)
}

// driver is one call at work.
type driver struct {
	call           Call
	env            customexec.Environ
	stdout, stderr *os.File
	thread         *inherit.Thread
	state          state
	resumed        bool
	site           config.Config
	facts          customexec.Response
	account        job.Account
}

func (d *driver) serve(ctx context.Context) (err error) {
	if os.Geteuid() == 0 {
		return failure.Deniedf("--no-auth is not for root: everybody's jobs would be root's")
	}
	if d.state, d.resumed, err = decodeState(d.env.State); err != nil {
		return err
	}
	if d.site, err = d.configuration(); err != nil {
		return err
	}
	if d.call.Stage == job.Cleanup && !d.resumed {
		return nil // the config stage has made nothing
	}
	script, err := d.env.Script(d.call.Stage, d.call.Script)
	if err != nil {
		return err
	}
	if d.facts, err = customexec.ReadResponse(d.env.Response); err != nil {
		return err
	}
	if err := d.env.TooLong(d.site.Auth.MaxEnvChars); err != nil {
		return err
	}
	if d.account, err = ownAccount(ctx); err != nil {
		return err
	}
	return d.run(script)
}

// configuration loads the file of the command line, or the one that the config
// stage of this job was given.
func (d *driver) configuration() (config.Config, error) {
	if d.call.Configuration != "" {
		named, err := job.ParseAbsPath(d.call.Configuration)
		if err != nil {
			return config.Config{}, failure.Configf("--configuration: %w", err)
		}
		d.state.Configuration = named
	}
	if d.state.Configuration.IsZero() {
		return config.Config{}, failure.Privatef("no --configuration, and no config stage has named one")
	}
	return config.Load(d.state.Configuration)
}

// finish tells the user and the runner how the call ended. There is nobody here
// from whom a reason would be kept.
func (d *driver) finish(err error) int {
	if err == nil {
		return 0
	}
	line, hint := failure.ForUser(err, true, "")
	joblog.NewWriter(d.output()).Fail(line, hint)
	if code, ok := failure.ScriptCode(err); ok && customexec.WriteExitCode(d.env.CodeFile, code) != nil {
		return d.env.Codes.System
	}
	return d.env.Codes.Status(err)
}

// output is where the job's log is: the config stage's standard output is for
// its answer, and cleanup's reaches nobody.
func (d *driver) output() io.Writer {
	if d.call.Stage == job.Prepare || d.call.Stage == job.Run {
		return d.stdout
	}
	return d.stderr
}
