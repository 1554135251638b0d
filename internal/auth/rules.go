package auth

import (
	"fmt"

	"jacamar-ci/internal/auth/internal/accountmap"
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

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
	r.ProjectAllow = policy.Globs{Set: a.ProjectAllowlist.Set, Entries: a.ProjectAllowlist.Items}
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
func list[T any](l config.List[T]) policy.List {
	out := policy.List{Set: l.Set}
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
