package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/state"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

// Reap cleans up after a job that its runner has abandoned, and returns the exit status.
// The call is that of cleanup. There is no token: the account is that of the journal,
// which only jacamar-auth writes, and only what the cleanup stage does is done.
func Reap(call driver.Call, key journal.Key) int {
	reap := func(d *authDriver, ctx context.Context) error { return d.reap(ctx, key) }
	return carryOut(call, reap, (*authDriver).settle)
}

func (d *authDriver) reap(ctx context.Context, key journal.Key) error {
	if err := d.openSite(ctx); err != nil {
		return err
	}
	if err := d.findHelper(); err != nil {
		return err
	}
	r, err := d.takeOver(ctx, key, func(r journal.Record) error {
		owner, known := r.Owner()
		return r.Abandoned(known && owner.Gone(), time.Now())
	})
	if err != nil {
		return err
	}
	return d.cleanUpAfter(ctx, r)
}

// takeOver opens the job's file in the journal for this process alone, where may allows it.
func (d *authDriver) takeOver(ctx context.Context, key journal.Key, may func(journal.Record) error) (r journal.Record, err error) {
	if !d.Site.Auth.Journal.Enabled {
		return r, failure.Configf("there is no journal: auth.journal.enabled is false in %s", d.File)
	}
	err = d.inJournal(ctx, func(dir job.AbsPath) error {
		j, _, err := hostJournal(dir)
		if err != nil {
			return err
		}
		d.record.live, r, err = j.TakeOver(key, may)
		return err
	})
	d.record.past, d.Facts.ID, d.Facts.ProjectID = r, key.Job, key.Project
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r, failure.Privatef("the journal of this host has no live job %s of uid %d", key.Job, key.UID)
	case err != nil:
		return r, failure.Privatef("cannot clean up after job %s: %w", key.Job, err)
	}
	return r, nil
}

// cleanUpAfter runs the cleanup stage of a job as the account that the journal has for
// it.
func (d *authDriver) cleanUpAfter(ctx context.Context, r journal.Record) error {
	granted, ok := r.Find(journal.Granted)
	if !ok { // no process of the account was started, or a power failure took the beginning
		d.warn(failure.Privatef("the journal has no beginning of job %s of uid %d: if its host lost power, the next job of that account removes what it left", r.Key.Job, r.Key.UID))
		return nil
	}
	if err := d.recall(granted.Context, r); err != nil {
		return err
	}
	account, err := d.accountOf(ctx, granted.Context, r.Key)
	if err != nil {
		return err
	}
	d.state.Facts = policy.Facts{Service: d.uid, Account: account}
	grant, decision := policy.DecideReap(d.state.Facts, d.ownRules())
	if err := denialFor(decision); err != nil {
		return err
	}
	d.granted(decision)
	result, err := d.become(grant, nil)
	d.leftBehind(result.Left)
	return err
}

// recall sets the facts and the directories of the job from the journal.
func (d *authDriver) recall(c journal.Context, r journal.Record) error {
	d.Facts = customexec.Response{ID: r.Key.Job, ProjectID: r.Key.Project, PipelineID: c.Pipeline, Project: c.Project, Timeout: c.Timeout}
	settled, ok := r.Find(journal.Settled)
	if !ok || journal.Shortened(settled.Context.Base) {
		return nil // jacamar looks for the base directory again
	}
	base, err := job.ParseAbsPath(settled.Context.Base)
	if err != nil {
		return fmt.Errorf("cannot use the journal: %w", err)
	}
	scripts, err := base.Join("scripts", c.Runner, r.Key.Job.String())
	if err != nil {
		return fmt.Errorf("cannot use the journal: %w", err)
	}
	d.state.Dirs = ipc.Dirs{Base: base, Scripts: scripts}
	return nil
}

// accountOf looks the account up again. One whose name has become another's is not
// touched.
func (d *authDriver) accountOf(ctx context.Context, c journal.Context, key journal.Key) (a job.Account, err error) {
	name, err := job.ParseUsername(c.Account)
	if err != nil {
		return a, fmt.Errorf("cannot use the journal: %w", err)
	}
	if a, err = d.names().Lookup(ctx, name); err != nil {
		return a, err
	}
	if a.UID != key.UID {
		return a, failure.Privatef("cannot clean up after job %s: the account %s has the uid %d now, and had %d", key.Job, name, a.UID, key.UID)
	}
	return a, nil
}

// settle ends the job's record where the cleanup succeeded. Where it did not, the job
// stays listed with the reason.
func (d *authDriver) settle(ctx context.Context, failed error) {
	live := d.record.live
	switch {
	case live == nil:
	case failed == nil:
		end := journal.Context{Exit: "ok"}
		end.CPU, end.Peak = d.record.usage()
		d.warnJournal(errors.Join(d.record.noteFailed, d.inJournal(ctx, func(dir job.AbsPath) error {
			return errors.Join(live.End(journal.At(time.Now(), journal.Reaped, end)), d.removeStopMark(dir))
		})))
	case d.record.past.Unsettled() == failed.Error(): // it has this reason
		d.warnJournal(live.Close())
	default:
		d.warnJournal(errors.Join(live.Append(journal.Unreaped(time.Now(), failure.KindOf(failed).String(), failed)), live.Close()))
	}
}

// cleanUpByJournal cleans up after a job without a state: this runner's config stage was
// killed, or the state is unusable because the programs were updated during the job. Only
// the journal has the job then.
func (d *authDriver) cleanUpByJournal(ctx context.Context, unusable error) error {
	if d.Call.Configuration == "" {
		return unusable
	}
	if err := d.openSite(ctx); err != nil {
		return err
	}
	if d.findHelper() != nil || !d.Site.Auth.Journal.Enabled {
		return unusable // the journal cannot be read
	}
	facts, err := customexec.ReadResponse(d.Env.Response)
	if err != nil {
		return unusable // nothing is known of the job
	}
	return d.cleanUpOwn(ctx, facts, unusable)
}

// cleanUpUnverified cleans up after a job whose token cannot be verified any more: the site has
// changed what it accepts during the job, or GitLab's keys cannot be fetched. It returns why in
// the other stages, and where the journal does not have the job. What points to an attack, as
// a state that was changed or the token of another job, is refused in cleanup too.
func (d *authDriver) cleanUpUnverified(ctx context.Context, why error) error {
	if d.Call.Stage != job.Cleanup || !d.Resumed || !d.Site.Auth.Journal.Enabled || !ofSite(why) {
		return why
	}
	facts := d.Facts
	d.state, d.id, d.Resumed = state.State{}, claims.Identity{}, false
	return d.cleanUpOwn(ctx, facts, why)
}

// ofSite reports whether a token that the config stage has accepted can be refused for this
// reason because of what the site, or its GitLab, has changed since.
func ofSite(why error) bool {
	rule, refused := idtoken.RuleOf(why)
	return !refused || slices.Contains([]idtoken.Rule{idtoken.RuleAbsent, idtoken.RuleKey, idtoken.RuleIssuer, idtoken.RuleAudience}, rule)
}

// cleanUpOwn cleans up after the job of a job response by what the journal has of it, if this
// runner began it. It returns unusable where it cannot.
func (d *authDriver) cleanUpOwn(ctx context.Context, facts customexec.Response, unusable error) error {
	key, ok := d.findLive(ctx, facts)
	if !ok {
		return unusable
	}
	r, err := d.takeOver(ctx, key, d.isOwn)
	switch {
	case errors.Is(err, errOthers):
		return unusable
	case err != nil:
		d.warn(err) // a stage runs, or another process has cleaned up
		return unusable
	}
	if unusable != nil {
		d.warn(unusable)
	}
	defer func() { d.settle(ctx, err); d.record.live = nil }()
	err = d.cleanUpAfter(ctx, r)
	return err
}

// isOwn returns errOthers for a job that another runner began.
func (d *authDriver) isOwn(r journal.Record) error {
	caller, _ := d.Owner()
	if owner, known := r.Owner(); known && owner != caller {
		return errOthers
	}
	return nil
}

var errOthers = errors.New("another runner began it")

// findLive returns the only live job with the facts of a job response, which no token
// confirms.
func (d *authDriver) findLive(ctx context.Context, facts customexec.Response) (key journal.Key, ok bool) {
	err := d.inHostJournal(ctx, func(j *journal.Journal) error {
		keys, err := j.Keys(facts.ProjectID, facts.ID)
		if err == nil && len(keys) == 1 {
			key, ok = keys[0], true
		}
		return err
	})
	d.warnJournal(err)
	return key, ok
}
