package auth

import (
	"fmt"

	"jacamar-ci/internal/auth/internal/accountmap"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// rules are the site's, in the package policy's terms.
func (d *authDriver) rules() (policy.Rules, error) {
	a := d.Site.Auth
	r := policy.Rules{
		Source: policy.Source(a.AccountSource), Provider: a.AccountProvider, AllowBots: a.AllowBotAccounts,
		UserAllow: list(a.UserAllowlist), UserBlock: list(a.UserBlocklist).Entries,
		GroupAllow: list(a.GroupsAllowlist), GroupBlock: list(a.GroupsBlocklist).Entries,
		PreValidation: a.ListsPreValidation, ShellAllow: list(a.ShellAllowlist),
		PipelineSource: list(a.PipelineSourceAllowlist), ProtectedRefs: a.ProtectedRefsOnly,
		Nologin: a.EnforceNologin, RequireShadow: a.RequireShadow, MinUID: a.MinUID, Helper: a.HelperAccount, RunAsService: a.Downscope == config.None,
	}
	r.ProjectAllow.Set = a.ProjectAllowlist.Set
	var err error
	if r.Map, err = d.accounts(); err != nil {
		return policy.Rules{}, err
	}
	if r.ProjectAllow.Entries, err = globs(a.ProjectAllowlist); err != nil {
		return policy.Rules{}, err
	}
	r.ProjectBlock, err = globs(a.ProjectBlocklist)
	return r, err
}

// accounts reads the site's map of users to accounts, where that is the source.
func (d *authDriver) accounts() (map[job.ID]job.Username, error) {
	if d.Site.Auth.AccountSource != config.Map {
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

// list gives the entries of a configured list as text.
func list[T any](l config.List[T]) policy.List {
	out := policy.List{Set: l.Set}
	for _, item := range l.Items {
		out.Entries = append(out.Entries, fmt.Sprint(item))
	}
	return out
}

func globs(l config.List[config.Glob]) ([]policy.Glob, error) {
	var out []policy.Glob
	for _, item := range l.Items {
		g, err := policy.ParseGlob(string(item))
		if err != nil {
			return nil, failure.Configf("cannot use a list of projects: %w", err)
		}
		out = append(out, g)
	}
	return out, nil
}
