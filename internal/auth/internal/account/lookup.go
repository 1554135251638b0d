// Package account queries the machine's name services about local accounts.
//
// The programs are static, so they use the C library's name service modules (LDAP,
// SSSD and so on) through getent(1). The privileged process loads none of them.
//
// # Groups
//
// getent initgroups prints the ids of an account's groups and is fast. getent group
// prints the members of each group, which can take a directory seconds for each
// group, and names in any encoding. So this package queries names only if a rule
// needs them: first the ids of the names in a list (GroupIDs), whose number does not
// depend on the account; then the names of the account's groups (GroupNames), up to a
// bound.
//
// # Limits
//
// getent initgroups ends with status 0 in three cases that are indistinguishable: the
// user has no further groups, the user does not exist, and a source was not
// available. The last occurs at real sites: while an LDAP server is down, a local
// user lacks the groups of LDAP. The C library does not report it, so this package
// cannot either. It limits the effect in three ways: an account that itself comes
// from the unavailable source is unknown, and refused; the first query to a dead
// server exceeds the time limit, and is refused; and incomplete output is never
// accepted. A site that grants or blocks by groups of a remote directory should let
// its client cache them (SSSD does).
package account

import (
	"context"
	"fmt"

	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
)

// UnknownError reports that no name service has the account. An LDAP server that is
// down gives the same result.
type UnknownError struct{ Name job.Username }

func (e UnknownError) Error() string {
	return fmt.Sprintf("there is no local account %s", e.Name)
}

// Lookup returns the account with exactly this name and all its groups: those of the
// name services and the primary one, in rising order. An unknown account is an
// UnknownError of kind failure.Denied. Every other error is of kind failure.System:
// the query failed.
func (n Names) Lookup(ctx context.Context, name job.Username) (job.Account, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	groups := make(chan groupsResult, 1)
	go func() {
		var g groupsResult
		g.err = crash.Recovered(func() (err error) { g.gids, err = n.initgroups(ctx, name); return err })
		groups <- g
	}()
	a, found, err := n.passwd(ctx, name)
	if err != nil {
		cancel()
		<-groups
		return job.Account{}, lookupError(name, err)
	}
	g := <-groups
	switch {
	case !found:
		return job.Account{}, failure.Deniedf("%w", UnknownError{name}).
			WithPublic("there is no account %s on this machine", name).
			WithHint("ask its administrators for one; if you have one, retry the job, as the name service may not have been reached")
	case g.err != nil:
		return job.Account{}, lookupError(name, g.err)
	}
	a.Groups, err = job.SortGIDs(append(g.gids, a.GID)...)
	if err != nil {
		return job.Account{}, lookupError(name, err)
	}
	return a, nil
}

// GroupsOf returns the groups of a known account, as Lookup does.
func (n Names) GroupsOf(ctx context.Context, a job.Account) (job.GIDs, error) {
	gids, err := n.initgroups(ctx, a.Name)
	if err != nil {
		return nil, lookupError(a.Name, err)
	}
	all, err := job.SortGIDs(append(gids, a.GID)...)
	if err != nil {
		return nil, lookupError(a.Name, err)
	}
	return all, nil
}

type groupsResult struct {
	gids []job.GID
	err  error
}

func (n Names) passwd(ctx context.Context, name job.Username) (job.Account, bool, error) {
	out, found, err := n.query(ctx, "passwd", name.String())
	if err != nil || !found {
		return job.Account{}, false, err
	}
	a, err := passwd.Parse(out)
	switch {
	case err != nil:
		return job.Account{}, false, fmt.Errorf("getent passwd: %w", err)
	case a.Name != name:
		// With case folding or an alias of a directory, lists of names could be bypassed.
		return job.Account{}, false, fmt.Errorf("the name service returned the account %s", a.Name)
	}
	return a, true, nil
}

func (n Names) initgroups(ctx context.Context, name job.Username) ([]job.GID, error) {
	out, found, err := n.query(ctx, initgroupsDatabase, name.String())
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, fmt.Errorf("getent initgroups: no entry")
	}
	gids, err := parseInitgroups(out, name)
	if err != nil {
		return nil, fmt.Errorf("getent initgroups: %w", err)
	}
	return gids, nil
}

// ByUID returns the account with a user id, as Lookup does.
func (n Names) ByUID(ctx context.Context, uid job.UID) (job.Account, error) {
	name, err := n.Owner(ctx, job.Account{UID: uid})
	if err != nil {
		return job.Account{}, err
	}
	return n.Lookup(ctx, name)
}

// Owner returns the name that the name services give for the account's user id.
// It differs from the account's own name if two names share one id: the kernel does
// not distinguish these two, but a rule about one name does not apply to the other.
func (n Names) Owner(ctx context.Context, a job.Account) (job.Username, error) {
	// getent takes a key of digits as an id; job.ParseUsername refuses such a name.
	out, found, err := n.query(ctx, "passwd", fmt.Sprint(uint32(a.UID)))
	switch {
	case err != nil:
		return job.Username{}, lookupError(a.Name, err)
	case !found:
		return job.Username{}, lookupError(a.Name, fmt.Errorf("the name service has no entry for its user id %d", a.UID))
	}
	owner, err := passwd.Parse(out)
	switch {
	case err != nil:
		return job.Username{}, lookupError(a.Name, fmt.Errorf("getent passwd: %w", err))
	case owner.UID != a.UID:
		return job.Username{}, lookupError(a.Name, fmt.Errorf("the name service returned the user id %d for %d", owner.UID, a.UID))
	}
	return owner.Name, nil
}
