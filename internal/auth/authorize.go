package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/accountmap"
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
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

// applyRules finds the account that the job requests and applies the site's rules to
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
		d.state.Facts, err = d.lookUp(ctx, candidate.Login(), rules)
	}
	if err != nil {
		return policy.Grant{}, decision, err
	}
	grant, decision := policy.Decide(d.id, candidate, d.state.Facts, rules)
	return grant, decision, denialFor(decision)
}

// lookUp queries the name service, once a job: its answers in the config stage apply in
// all stages, even if it has others later, or none. Each query is a process of its own,
// so those that do not depend on each other run concurrently.
func (d *authDriver) lookUp(ctx context.Context, login job.Username, rules policy.Rules) (f policy.Facts, err error) {
	names := d.names()
	f.Service, f.LoginsOff = d.uid, names.LoginsOff()
	if f.Shells, err = names.Shells(); err != nil && !rules.ShellAllow.Set {
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

// together runs all functions concurrently and returns the first error in their order.
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

// subjects are the account that the job would run as, and the one that the lists of
// groups apply to, nil where there is none.
type subjects struct {
	runs  job.Account
	lists *job.Account
}

// subject finds them by the login. Without a change of account the job runs as the
// account of this process, and the lists apply to the requested account, if it exists.
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

// compareGroups queries the name service whether an account, nil for none, is in a group
// of the site's lists, where such a list can decide. The names of all its groups are
// queried only where the listed groups alone decide nothing: a directory may need
// seconds for each.
func compareGroups(ctx context.Context, names account.Names, a *job.Account, login job.Username, r policy.Rules) (policy.Groups, error) {
	if !r.NeedsGroups(login, policy.Groups{}) {
		return policy.Groups{}, nil
	}
	m := policy.Membership{Named: true}
	if a == nil {
		g, _ := m.Compare(r)
		return g, nil
	}
	listed, err := names.GroupIDs(ctx, r.ListedGroups())
	if err != nil {
		return policy.Groups{}, err
	}
	m = policy.Membership{IDs: a.Groups, Listed: listed}
	g, settled := m.Compare(r)
	if settled || len(a.Groups) > account.MaxGroupNames {
		return g, nil
	}
	all, err := names.GroupNames(ctx, a.Groups)
	if err != nil {
		return policy.Groups{}, err
	}
	m.Named, m.Names, m.Unnamed = true, all.Names, all.Unnamed
	g, _ = m.Compare(r)
	return g, nil
}

// groupsOf compares the groups of the account of a name, which need not exist.
func (d *authDriver) groupsOf(ctx context.Context, login job.Username, r policy.Rules) (policy.Groups, error) {
	if !r.NeedsGroups(login, policy.Groups{}) {
		return policy.Groups{}, nil
	}
	names := d.names()
	a, err := names.Lookup(ctx, login)
	if unknown := (account.UnknownError{}); errors.As(err, &unknown) {
		return compareGroups(ctx, names, nil, login, r)
	}
	if err != nil {
		return policy.Groups{}, err
	}
	return compareGroups(ctx, names, &a, login, r)
}

// maxGroupText bounds the text of an account's groups that the state carries, in
// bytes. Directories assign consecutive ids, and a thousand scattered ones fit.
const maxGroupText = 16 << 10

// withoutGroups removes the groups from facts that would make the state too long. Later
// stages then query them again.
func withoutGroups(f policy.Facts) policy.Facts {
	if len(f.Account.Groups.String()) > maxGroupText {
		f.Account.Groups = nil
	}
	return f
}

// completeGroups queries in a later stage what the state does not have: groups that did
// not fit, and the comparison with lists that the site has changed since.
func (d *authDriver) completeGroups(ctx context.Context, login job.Username, r policy.Rules) (err error) {
	f := &d.state.Facts
	if len(f.Account.Groups) == 0 {
		if f.Account.Groups, err = d.names().GroupsOf(ctx, f.Account); err != nil {
			return err
		}
	}
	switch {
	case !r.NeedsGroups(login, f.Groups):
	case r.RunAsService:
		f.Groups, err = d.groupsOf(ctx, login, r)
	default:
		f.Groups, err = compareGroups(ctx, d.names(), &f.Account, login, r)
	}
	return err
}

// rules are the site's rules for the package policy.
func (d *authDriver) rules() (policy.Rules, error) {
	a := d.Site.Auth
	r := d.ownRules()
	r.Source, r.Provider, r.AllowBots = a.AccountSource, a.AccountProvider, a.AllowBotAccounts
	r.UserAllow, r.UserBlock = list(a.UserAllowlist), list(a.UserBlocklist).Entries
	r.GroupAllow, r.GroupBlock = list(a.GroupsAllowlist), list(a.GroupsBlocklist).Entries
	r.PreValidation, r.ShellAllow = a.ListsPreValidation, list(a.ShellAllowlist)
	r.PipelineSource, r.ProtectedRefs = list(a.PipelineSourceAllowlist), a.ProtectedRefsOnly
	r.Nologin, r.RequireShadow, r.MinUID = a.EnforceNologin, a.RequireShadow, a.MinUID
	r.ProjectAllow.Set, r.ProjectAllow.Entries = a.ProjectAllowlist.Set, a.ProjectAllowlist.Items
	r.ProjectBlock = a.ProjectBlocklist.Items
	var err error
	r.Map, err = d.accounts()
	return r, err
}

// ownRules are those that protect this service itself, whatever the site allows.
func (d *authDriver) ownRules() policy.Rules {
	return policy.Rules{Helper: d.Site.Auth.HelperAccount, RunAsService: d.Site.Auth.Downscope == settings.None}
}

// accounts reads the site's map of users to accounts, where that is the source.
func (d *authDriver) accounts() (map[job.ID]job.Username, error) {
	if d.Site.Auth.AccountSource != settings.Map {
		return nil, nil
	}
	text, err := d.trust().Read(d.Site.Auth.AccountMap, accountmap.MaxSize)
	if err != nil {
		return nil, failure.Configf("cannot use the account map: %w", err)
	}
	users, err := accountmap.Parse(text)
	if err != nil {
		return nil, failure.Configf("cannot use the account map %s: %w", d.Site.Auth.AccountMap, err)
	}
	return users, nil
}

// list converts a configured list to text.
func list[T any](l config.List[T]) policy.List[string] {
	out := policy.List[string]{Set: l.Set}
	for _, item := range l.Items {
		out.Entries = append(out.Entries, fmt.Sprint(item))
	}
	return out
}

// matches reports whether a rule is for this job. Project and namespace are those of
// its token.
func matches(r config.Matcher, id claims.Identity, account job.Username) bool {
	switch {
	case r.User != (job.Username{}) && r.User != account:
		return false
	case r.RefProtected != nil && *r.RefProtected != id.Ref.Protected:
		return false
	case !r.Project.IsZero() && !r.Project.Match(id.Project.Path):
		return false
	}
	return r.Namespace.IsZero() || r.Namespace.Match(id.Namespace.Path)
}
