package auth

import (
	"context"
	"fmt"
	"os"
	"strings"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/privdrop"
	"jacamar-ci/internal/briefing"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/version"
)

// become starts jacamar as the granted account, hands it its brief and stays
// until the stage is over.
func (d *driver) become(grant policy.Grant, script []byte) (ipc.Result, error) {
	jacamar, err := d.jacamar()
	if err != nil {
		return ipc.Result{}, err
	}
	brief, err := d.brief(grant)
	if err != nil {
		return ipc.Result{}, err
	}
	if err := d.makeRootDir(brief.Account); err != nil {
		return ipc.Result{}, err
	}
	watch := monitor.Monitor{Runner: d.stdout, KillTimeout: d.site.General.KillTimeout, UID: uint32(brief.Account.UID), Left: d.left}
	stdout, stderr, err := watch.Outputs(d.jobOutput(), d.stderr)
	if err != nil {
		return ipc.Result{}, err
	}
	launcher := privdrop.Launcher{
		Strategy: privdrop.Strategy(d.site.Auth.Downscope), Jacamar: jacamar, Stdout: stdout, Stderr: stderr, Core: d.core,
		Limits: brief.Settings.Confinement.Limits, Filter: !d.site.Auth.Seccomp.Disabled,
		NoNewPrivs: brief.Settings.ConfinesJacamar(), Thread: d.thread,
	}
	watch.Account = d.signaller(launcher, grant, brief)
	if err := watch.Ready(); err != nil {
		return ipc.Result{}, fmt.Errorf("cannot watch over the job: %w", err)
	}
	child, as, err := launcher.Start(grant, d.call.Stage)
	stdout.Close()
	stderr.Close()
	if err != nil {
		return ipc.Result{}, err
	}
	brief.Start = as
	end := ipc.NewParentConn(child.Socket)
	// Beside the watch: the account may have stopped its jacamar, which then reads
	// nothing, and the runner must still be able to end the job.
	go func() {
		if end.Send(brief, script) != nil {
			child.Cut()
		}
	}()
	return watch.Wait(child, end)
}

// jobOutput keeps the config stage's standard output for its answer alone.
func (d *driver) jobOutput() *os.File {
	if d.call.Stage == job.Config {
		return d.stderr
	}
	return d.stdout
}

// brief is all that jacamar is told.
func (d *driver) brief(grant policy.Grant) (ipc.Request, error) {
	account, ok := grant.Account()
	if !ok {
		return ipc.Request{}, failure.Deniedf("no account was granted")
	}
	owner, _ := proctree.Find(os.Getppid())
	b, err := briefing.Source{
		Stage: d.call.Stage, SubStage: d.call.SubStage, Site: d.site, Env: d.env, Facts: d.facts, Account: account,
		Dirs: d.state.Dirs, Owner: owner,
		Matches: func(r config.Rule) (bool, error) { return matches(r, d.id, account.Name) },
	}.Brief()
	if err != nil {
		return ipc.Request{}, err
	}
	d.delegated(&b.Settings)
	return b, nil
}

// delegated puts what the RunAs script gave for this job into the settings.
func (d *driver) delegated(s *ipc.Settings) {
	s.DataDir, s.Message = d.dataDir(), d.message()
	if !d.state.RunAs.DataDir.IsZero() {
		s.Storage.VariableDataDir = false // that is a path, and a dollar in it a dollar
	}
}

// dataDir is the site's base directory, unless the RunAs script gave another.
func (d *driver) dataDir() string {
	if dir := d.state.RunAs.DataDir; !dir.IsZero() {
		return dir.String()
	}
	return d.site.General.DataDir.String()
}

// message is what the job's log shows first: the site's words, and those of the
// RunAs script for this job.
func (d *driver) message() string {
	return strings.Trim(string(d.site.General.JobMessage)+"\n"+d.state.RunAs.Message, "\n")
}

// answer prints what the config stage settled; the other stages have no answer.
func (d *driver) answer(ctx context.Context, result ipc.Result) error {
	if d.call.Stage != job.Config {
		return nil
	}
	state, err := d.seal(ctx, result.Dirs)
	if err != nil {
		return err
	}
	return customexec.NewConfigOutput(result.Dirs.Builds, result.Dirs.Cache, version.Number(), state).Write(d.stdout)
}
