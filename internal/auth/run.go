package auth

import (
	"context"
	"os"
	"strings"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/privdrop"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/monitor"
)

// runAs runs the stage as the granted account, and answers the config stage.
func (d *authDriver) runAs(ctx context.Context, grant policy.Grant, script []byte) error {
	result, err := d.become(grant, script)
	d.leftBehind(result.Left)
	if err != nil || d.Call.Stage != job.Config {
		return err
	}
	state, err := d.seal(ctx, result.Dirs)
	if err != nil {
		return err
	}
	return d.Answer(result.Dirs, state)
}

// become starts jacamar as the granted account and waits for the end of the stage.
func (d *authDriver) become(grant policy.Grant, script []byte) (ipc.Result, error) {
	jacamar, err := d.Jacamar(d.trust())
	if err != nil {
		return ipc.Result{}, err
	}
	request, err := d.request(grant)
	if err != nil {
		return ipc.Result{}, err
	}
	if err := d.makeRootDir(request.Account); err != nil {
		return ipc.Result{}, err
	}
	launcher := privdrop.Launcher{
		Strategy: privdrop.Strategy(d.Site.Auth.Downscope), Jacamar: jacamar, Core: d.Core,
		Limits: request.Settings.Confinement.Limits.Set(), Filter: !d.Site.Auth.Seccomp.Disabled,
		NoNewPrivs: request.Settings.ConfinesJacamar(), Thread: d.Thread,
	}
	return d.Run(driver.Order{
		Request: request, Script: script,
		Start: func(stdout, stderr *os.File) (*monitor.Child, inherit.Start, error) {
			launcher.Stdout, launcher.Stderr = stdout, stderr
			return launcher.Start(grant, d.Call.Stage)
		},
		Account: signaller(launcher, grant, request),
		Left:    d.left,
	})
}

// request is all that jacamar gets to know.
func (d *authDriver) request(grant policy.Grant) (ipc.Request, error) {
	account, ok := grant.Account()
	if !ok {
		return ipc.Request{}, failure.Deniedf("no account was granted")
	}
	r, err := d.Request(account, d.state.Dirs, func(r config.Rule) (bool, error) { return matches(r, d.id, account.Name), nil })
	if err != nil {
		return ipc.Request{}, err
	}
	d.delegated(&r.Settings)
	return r, nil
}

// delegated puts what the RunAs script returned for this job into the settings.
func (d *authDriver) delegated(s *ipc.Settings) {
	s.DataDir, s.Message = d.dataDir(), d.message()
	if !d.state.RunAs.DataDir.IsZero() {
		s.VariableDataDir = false // the script's data_dir is literal; $ is not expanded
	}
}

// dataDir is the site's base directory, unless the RunAs script returned another.
func (d *authDriver) dataDir() string {
	if dir := d.state.RunAs.DataDir; !dir.IsZero() {
		return dir.String()
	}
	return d.Site.General.DataDir.String()
}

// message is the beginning of the job's log: the site's text, and that of the RunAs
// script for this job.
func (d *authDriver) message() string {
	return strings.Trim(string(d.Site.General.JobMessage)+"\n"+d.state.RunAs.Message, "\n")
}
