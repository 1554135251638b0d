// Package auth is the privileged half: it decides whether a job may run, and as
// whom, and becomes that account. What it believes, and in which order, is the
// function serve below; each of its lines is a package of its own.
package auth

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auditlog"
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/state"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/capability"
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
	// Configuration is the file that config and cleanup name; the other stages
	// are told by the config stage.
	Configuration string
	// Script and SubStage are given to run.
	Script   string
	SubStage string
	// Unobfuscated shows every error to the job's user in full (-u).
	Unobfuscated bool
}

// Main carries out one call and returns the exit status for the runner.
func Main(call Call) int {
	thread := inherit.NewThread()
	was, locked := lockdown.Enter()
	env, err := customexec.ParseEnviron(was.Environ)
	if locked != nil {
		err = failure.Privatef("cannot lock this process down: %w", locked)
	}
	d := &driver{
		call: call, env: env, core: was.Core, thread: thread, powers: capability.CanSwitchAccounts(), uid: job.UID(os.Geteuid()),
		stdout: os.Stdout, stderr: os.Stderr, begun: time.Now(),
	}
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
	uid            job.UID
	core           unix.Rlimit // on core files, as the runner has it
	thread         *inherit.Thread
	// sealed is the state as it came, state what the config stage settled: after
	// unseal, or as config itself finds it.
	sealed  state.Sealed
	resumed bool
	state   state.State
	// file is the configuration, site what it says.
	file  job.AbsPath
	site  config.Config
	facts customexec.Response
	id    claims.Identity
	// powers reports that this process may do what its account may not.
	powers bool
	// administers reports that no runner calls it.
	administers bool
	// helper are the ids of helpers, nil for this process's own.
	helper *thread.IDs
	log    auditlog.Log
	begun  time.Time
}

// serve is the security argument. Nothing that the job's author controls is
// believed before the token has proved who he is; no process is started for him
// before the rules have granted an account; and from there on only that account
// touches what is his.
func (d *driver) serve(ctx context.Context) (err error) {
	if err = d.resume(); err != nil {
		return err
	}
	if d.site, err = d.configuration(); err != nil {
		return err
	}
	d.log = d.openLog(ctx, d.lost)
	unusable := d.findHelper()
	if d.call.Stage == job.Cleanup && !d.resumed {
		return nil // the config stage granted nothing: there is nothing of the job's
	}
	if unusable != nil {
		return unusable
	}
	script, err := d.env.Script(d.call.Stage, d.call.Script)
	if err != nil {
		return err
	}
	if d.facts, err = customexec.ReadResponse(d.env.Response); err != nil {
		return err
	}
	if err := d.unseal(ctx); err != nil {
		return d.denied(err)
	}
	if err := d.env.TooLong(d.site.Auth.MaxEnvChars); err != nil {
		return err
	}
	if d.id, err = d.identify(ctx); err != nil {
		return d.denied(err)
	}
	grant, decision, err := d.authorize(ctx)
	if err != nil {
		return d.denied(err)
	}
	d.granted(decision)
	result, err := d.become(grant, script)
	d.leftBehind(result.Left)
	if err != nil {
		return err
	}
	return d.answer(ctx, result)
}

// configuration loads the site's file: the one of the command line, or the one
// that the config stage of this job was given. Its seal is not verified yet: it is
// where the key is found.
func (d *driver) configuration() (config.Config, error) {
	file := d.sealed.Configuration()
	if d.call.Configuration != "" {
		named, err := job.ParseAbsPath(d.call.Configuration)
		if err != nil {
			return config.Config{}, failure.Configf("--configuration: %w", err)
		}
		if d.resumed && named != file {
			return config.Config{}, failure.Configf("the job began with the configuration %s, and now it is %s", file, named)
		}
		file = named
	}
	if file.IsZero() {
		return config.Config{}, failure.Privatef("no --configuration, and no config stage has named one")
	}
	d.file = file
	if d.hasExtraPrivileges() {
		if faults := d.trust().Check(file); len(faults) > 0 {
			return config.Config{}, failure.Configf("cannot use the configuration: %w", &faults[0])
		}
	}
	return config.Load(file)
}

// finish tells the user, the runner and the operator how the call ended.
func (d *driver) finish(err error) int {
	status := d.env.Codes.Status(err)
	if err != nil {
		line, hint := failure.ForUser(err, d.call.Unobfuscated, d.quote())
		joblog.NewWriter(d.output()).Fail(line, hint)
		if code, ok := failure.ScriptCode(err); ok {
			if werr := customexec.WriteExitCode(d.env.CodeFile, code); werr != nil {
				err, status = werr, d.env.Codes.System
			}
		}
	}
	d.ended(err)
	return status
}

// output is where the job's log is: the config stage's standard output is for
// its answer, and cleanup's reaches nobody.
func (d *driver) output() io.Writer {
	if d.call.Stage == job.Prepare || d.call.Stage == job.Run {
		return d.stdout
	}
	return d.stderr
}

// quote names the job as its user knows it.
func (d *driver) quote() string {
	if d.facts.ID != 0 {
		return "job " + d.facts.ID.String()
	}
	if hint, err := job.ParseID(d.hintedID()); err == nil {
		return "job " + hint.String()
	}
	return "this job's number"
}

func (d *driver) hintedID() string {
	s, _ := d.env.Variable("CI_JOB_ID")
	return s
}
