package auth

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/basedir"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/privdrop"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/settings"
)

// runAs runs the stage as the granted account, and answers the config stage.
func (d *authDriver) runAs(ctx context.Context, grant policy.Grant, script []byte) error {
	result, err := d.become(grant, script)
	d.leftBehind(result.Left)
	d.record.unsettled = d.record.unsettled && (result.Made || !result.Failed())
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
		Strategy: d.Site.Auth.Downscope, Jacamar: jacamar, Core: d.Core,
		Limits: request.Settings.Confinement.Limits.Set(), Filter: !d.Site.Auth.Seccomp.Disabled,
		NoNewPrivs: request.Settings.ConfinesJacamar(), Thread: d.Thread,
	}
	result, err := d.Run(driver.Order{
		Request: request, Script: script,
		Start: func(stdout, stderr *os.File) (*monitor.Child, inherit.Start, error) {
			launcher.Stdout, launcher.Stderr, d.record.unsettled = stdout, stderr, true
			return launcher.Start(grant, d.Call.Stage)
		},
		Account: signaller(launcher, grant, request),
		Left:    d.left,
		Note:    d.record.note,
		Used:    func(u proctree.Usage) { d.record.used = u },
	})
	return result, launcher.Explain(grant, err)
}

// measureLimit is how long the build directory is measured in cleanup.
const measureLimit = 200 * time.Millisecond

// request is everything that jacamar receives.
func (d *authDriver) request(grant policy.Grant) (ipc.Request, error) {
	account, ok := grant.Account()
	if !ok {
		return ipc.Request{}, failure.Privatef("no account was granted")
	}
	r, err := d.Request(account, d.state.Dirs, func(r config.Matcher) (bool, error) { return matches(r, d.id, account.Name), nil })
	if err != nil {
		d.imageRefused(err)
		return ipc.Request{}, err
	}
	d.delegated(&r.Settings)
	r.LiveJobs = d.record.liveJobs
	if d.Call.Stage == job.Cleanup {
		r.MayRun = d.record.live == nil || journal.MayRun(d.record.live.Events())
	}
	if d.record.live != nil && d.Call.Stage == job.Cleanup {
		r.Measure = measureLimit
	}
	if granted, ok := d.record.past.Find(journal.Granted); ok {
		r.Ghost, r.MayRun, r.Job.Runner, r.Job.Owner = true, true, granted.Context.Runner, proctree.Process{}
	}
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

// makeRootDir makes the account's base directory where the site configured that.
func (d *authDriver) makeRootDir(account job.Account) error {
	if !d.Site.Auth.RootDirCreation || d.Site.Auth.Downscope != settings.Setuid || d.Call.Stage != job.Config {
		return nil
	}
	dataDir, err := job.ParseAbsPath(d.dataDir())
	if err != nil {
		return failure.Configf("cannot use data_dir with root_dir_creation: %w", err)
	}
	return basedir.Make(dataDir, account)
}

// signaller returns how to signal processes that only the job's account may signal: with
// the right to change ids by a thread of this process, else by a jacamar that is started
// for it. It is nil where the job runs as the account of this process.
func signaller(l privdrop.Launcher, grant policy.Grant, request ipc.Request) func() (monitor.Account, error) {
	switch l.Strategy {
	case settings.Setuid:
		return func() (monitor.Account, error) { return asAccount{thread.Of(request.Account)}, nil }
	case settings.Sudo:
		return func() (monitor.Account, error) { return reaper(l, grant, request) }
	}
	return nil
}

// asAccount signals with the account's ids as the effective ids of a thread. The account
// cannot signal this process by that: kill(2) compares real and saved ids.
type asAccount struct{ ids *thread.IDs }

// Kill implements monitor.Account.
func (a asAccount) Kill(c ipc.Condemned) error {
	return thread.Run(func() error {
		return a.ids.WithIDs(func() error {
			proctree.KillAll(c.PIDs, c.Below)
			return nil
		})
	})
}

// Starter implements monitor.Account.
func (asAccount) Starter() int { return 0 }

// Close implements monitor.Account.
func (asAccount) Close() *monitor.Child { return nil }

// reaper starts a jacamar as the account. Its output is not for the job's log.
func reaper(l privdrop.Launcher, grant policy.Grant, request ipc.Request) (monitor.Account, error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot signal as the account: %w", err)
	}
	defer null.Close()
	l.Stdout, l.Stderr = null, null
	child, as, err := l.Start(grant, job.Cleanup)
	if err != nil {
		return nil, err
	}
	request.Stage, request.Start = job.Cleanup, as
	return monitor.NewReaper(child, request)
}

// left reports processes that could not be ended, to the operator and to the user.
func (d *authDriver) left(err error) {
	d.record.left = true
	d.warn(err)
	d.WarnUser(err)
}
