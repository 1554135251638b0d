package auth

import (
	"context"
	"errors"
	"sync"
	"time"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/job"
)

// authorize applies the site's rules, in every stage. A cleanup that they refuse is
// granted by what the config stage has decided.
func (d *authDriver) authorize(ctx context.Context) (policy.Grant, policy.Decision, error) {
	grant, decision, err := d.applyRules(ctx)
	if err == nil || d.Call.Stage != job.Cleanup || !d.Resumed {
		return grant, decision, err
	}
	grant, cleanup := policy.DecideCleanup(d.state.Facts, d.ownRules(), err)
	if !cleanup.Allowed || d.isGone(ctx, d.state.Facts.Account) {
		return policy.Grant{}, decision, err
	}
	return grant, cleanup, nil
}

// isGone reports whether the account no longer is what it was for the config stage,
// or whether that is unknown.
func (d *authDriver) isGone(ctx context.Context, was job.Account) bool {
	now, err := d.names().Lookup(ctx, was.Name)
	return err != nil || now.UID != was.UID
}

// applyRules finds the account that the job asks for and applies the site's rules to
// it and to the job. The name service and the site's RunAs script are queried in the
// config stage only.
func (d *authDriver) applyRules(ctx context.Context) (policy.Grant, policy.Decision, error) {
	rules, err := d.rules()
	if err != nil {
		return policy.Grant{}, policy.Decision{}, err
	}
	candidate, decision := policy.Choose(d.id, rules)
	if !decision.Allowed {
		return policy.Grant{}, decision, denialFor(decision)
	}
	if !d.Resumed {
		if d.state.RunAs, err = d.delegate(ctx, candidate, rules); err != nil {
			return policy.Grant{}, decision, err
		}
	}
	_, configured := d.runas()
	if candidate, err = apply(d.state.RunAs, candidate, configured); err != nil {
		return policy.Grant{}, decision, err
	}
	if d.Resumed {
		err = d.completeGroups(ctx, candidate.Login(), rules)
	} else {
		d.state.TokenID = d.id.Token.ID
		d.state.Facts, err = d.ask(ctx, candidate.Login(), rules)
	}
	if err != nil {
		return policy.Grant{}, decision, err
	}
	grant, decision := policy.Decide(d.id, candidate, d.state.Facts, rules)
	return grant, decision, denialFor(decision)
}

// ask asks the name service, once a job: what it says in the config stage holds
// for all stages, also when it says something else later, or nothing. Each
// question is a process of its own, so those that do not wait for another's
// answer are asked at once.
func (d *authDriver) ask(ctx context.Context, login job.Username, rules policy.Rules) (f policy.Facts, err error) {
	names := d.names()
	f.Service, f.LoginsOff = d.uid, names.LoginsOff()
	if f.Shells, err = names.Shells(); err != nil {
		return f, err
	}
	asked, err := d.subject(ctx, login, rules)
	if err != nil {
		return f, err
	}
	f.Account = asked.runs
	err = together(
		func() (err error) { f.Groups, err = compareGroups(ctx, names, asked.lists, login, rules); return err },
		func() (err error) { f.Aging, err = names.Aging(ctx, f.Account.Name, time.Now()); return err },
		func() (err error) { f.Owner, err = names.Owner(ctx, f.Account); return err },
	)
	return f, err
}

// together runs all at once and returns the first error in their order.
func together(all ...func() error) error {
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i, f := range all {
		wait.Go(func() { errs[i] = crash.Recovered(f) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// subjects are the account that the job would run as, and the one that the lists
// of groups are about, nil where there is none.
type subjects struct {
	runs  job.Account
	lists *job.Account
}

// subject finds them by the login. Without a change of account the job runs as
// this process's own, and the lists are about the account that was asked for, if
// it exists.
func (d *authDriver) subject(ctx context.Context, login job.Username, rules policy.Rules) (subjects, error) {
	asked, err := d.names().Lookup(ctx, login)
	if !rules.RunAsService {
		return subjects{asked, &asked}, err
	}
	s := subjects{lists: &asked}
	if unknown := (account.UnknownError{}); errors.As(err, &unknown) {
		s.lists = nil
	} else if err != nil {
		return s, err
	}
	s.runs, err = d.ownAccount(ctx)
	return s, err
}
