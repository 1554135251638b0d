package auth

import (
	"context"
	"errors"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/job"
)

// compareGroups asks the name service whether an account, nil for none, is in a
// group of the site's lists; nothing is asked where no such list has a say. The
// names of all its groups are asked for only where the listed groups alone decide
// nothing: a directory may need seconds for each.
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
// bytes. Directories give out ids in a row, and a thousand scattered ones fit.
const maxGroupText = 16 << 10

// withoutGroups takes the groups out of facts that would make the state too long.
// Later stages then ask for them again.
func withoutGroups(f policy.Facts) policy.Facts {
	if len(f.Account.Groups.String()) > maxGroupText {
		f.Account.Groups = nil
	}
	return f
}

// completeGroups asks in a later stage for what the state does not have: groups that
// it had no place for, and the comparison with lists that the site changed since.
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
