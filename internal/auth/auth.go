// Package auth authorizes jobs: it decides whether a job may run, and as whom, and
// starts it as that account. What it trusts, and in which order, is the function serve
// below; each step is implemented by its own package.
package auth

import (
	"context"

	"jacamar-ci/internal/auditlog"
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/state"
	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/failure"
)

// Main carries out one call of the runner and returns the exit status.
func Main(call driver.Call) int { return carryOut(call, (*authDriver).serve, (*authDriver).leave) }

// carryOut opens a session, does its work and reports the end: to the user and the
// runner, in the journal by record, and in the operator's log.
func carryOut(call driver.Call, do func(*authDriver, context.Context) error, record func(*authDriver, context.Context, error)) int {
	session, err := driver.Open(call)
	d := &authDriver{Session: session, service: thisService()}
	ctx := context.Background()
	if err == nil {
		err = crash.Recovered(func() error { return do(d, ctx) })
	}
	status, err := d.Finish(err)
	record(d, ctx, err)
	d.ended(err)
	return status
}

// Misused finishes a call with arguments that cannot be used, and returns the exit status.
func Misused(call driver.Call, why error) int {
	session, _ := driver.Open(call)
	d := &authDriver{Session: session}
	status, err := d.Misuse("jacamar-auth", why)
	if err != nil {
		d.ended(err)
	}
	return status
}

// authDriver is a session whose job is authorized here.
type authDriver struct {
	driver.Session
	service
	decided
	log auditlog.Log
	// noHelper is why the account for helpers cannot be used. The files of the state are that
	// account's, and cannot be used without it.
	noHelper error
	// limited is the first error of the log or the journal that is due to a resource limit
	// of this process.
	limited error
	// kept is the state directory, nil before its first use.
	kept *keptDir
	// record is what the journal has of the job, and gets in this stage.
	record record
}

// decided is what is verified of the job, and what was decided about it.
type decided struct {
	// sealed is the state as the runner passes it; state is what the config stage
	// decided: after unseal, or as config itself sets it.
	sealed state.Sealed
	state  state.State
	id     claims.Identity
}

// serve is the security argument. No input controlled by the job's author is trusted
// before the token is verified. No process is started for the user before the policy
// grants an account. From then on only that account touches the user's files.
func (d *authDriver) serve(ctx context.Context) error {
	unusable := d.resume()
	if d.NothingToCleanUp() {
		return d.cleanUpByJournal(ctx, unusable)
	}
	if unusable != nil {
		return unusable
	}
	if err := d.openSite(ctx); err != nil {
		return err
	}
	if err := d.findHelper(); err != nil {
		return err
	}
	script, err := d.ReadInput()
	if err != nil {
		return err
	}
	if err = d.unseal(ctx); err != nil {
		return d.denied(ctx, err)
	}
	if d.id, err = d.identify(ctx); err != nil {
		return d.denied(ctx, d.cleanUpUnverified(ctx, err))
	}
	grant, decision, err := d.authorize(ctx)
	if err != nil {
		return d.denied(ctx, err)
	}
	d.granted(decision)
	if err := d.enter(ctx, decision); err != nil {
		return err
	}
	if err := d.withinLimits(); err != nil {
		return err
	}
	return d.explainEnd(ctx, d.runAs(ctx, grant, script))
}

// openSite loads the site's configuration, and opens the operator's log as configured:
// for the first error as well, which is of the runner's environment.
func (d *authDriver) openSite(ctx context.Context) error {
	if err := d.configure(); err != nil {
		return err
	}
	d.log = d.openLog(ctx, d.lost)
	return d.EnvErr
}

// configure loads the site's configuration. Where the state names it, its seal is not
// verified yet: the configuration is where the key is found.
func (d *authDriver) configure() error {
	if err := d.FindConfiguration(d.sealed.Configuration()); err != nil {
		return err
	}
	if d.hasExtraPrivileges() {
		if faults := d.trust().Check(d.File); len(faults) > 0 {
			return failure.Configf("cannot use the configuration: %w", &faults[0])
		}
	}
	return d.LoadConfiguration()
}
