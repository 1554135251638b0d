package account

import (
	"context"
	"fmt"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
)

// UnknownError says that no name service knows the account, as far as one can
// tell: an LDAP server that is down answers in the same way.
type UnknownError struct{ Name job.Username }

func (e UnknownError) Error() string {
	return fmt.Sprintf("there is no local account %s", e.Name)
}

// Lookup returns the account of that very name, with all its groups: those of
// the name services and the primary one, in rising order. An unknown account is
// an UnknownError of kind failure.Denied; every other error is of kind
// failure.System and means that nothing is known.
func (n Names) Lookup(ctx context.Context, name job.Username) (job.Account, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	groups := make(chan groupsAnswer, 1)
	go func() {
		gids, err := n.initgroups(ctx, name)
		groups <- groupsAnswer{gids, err}
	}()
	a, found, err := n.passwd(ctx, name)
	if err != nil {
		cancel()
		<-groups
		return job.Account{}, cannot(name, err)
	}
	g := <-groups
	switch {
	case !found:
		return job.Account{}, failure.Deniedf("%w", UnknownError{name}).
			WithPublic("there is no account %s on this machine", name).
			WithHint("ask its administrators for one; if you have one, retry the job, as the name service may not have been reached")
	case g.err != nil:
		return job.Account{}, cannot(name, g.err)
	}
	a.Groups, err = job.SortGIDs(append(g.gids, a.GID)...)
	if err != nil {
		return job.Account{}, cannot(name, err)
	}
	return a, nil
}

// GroupsOf returns the groups of an account that was looked up before, as Lookup
// does.
func (n Names) GroupsOf(ctx context.Context, a job.Account) (job.GIDs, error) {
	gids, err := n.initgroups(ctx, a.Name)
	if err != nil {
		return nil, cannot(a.Name, err)
	}
	all, err := job.SortGIDs(append(gids, a.GID)...)
	if err != nil {
		return nil, cannot(a.Name, err)
	}
	return all, nil
}

type groupsAnswer struct {
	gids []job.GID
	err  error
}

func (n Names) passwd(ctx context.Context, name job.Username) (job.Account, bool, error) {
	out, found, err := n.ask(ctx, "passwd", name.String())
	if err != nil || !found {
		return job.Account{}, false, err
	}
	a, err := passwd.Parse(out)
	switch {
	case err != nil:
		return job.Account{}, false, fmt.Errorf("getent passwd: %w", err)
	case a.Name != name:
		// Case folding or an alias of a directory: lists by name would not hold.
		return job.Account{}, false, fmt.Errorf("the name service answers with the account %s", a.Name)
	}
	return a, true, nil
}

func (n Names) initgroups(ctx context.Context, name job.Username) ([]job.GID, error) {
	out, found, err := n.ask(ctx, "initgroups", name.String())
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, fmt.Errorf("getent initgroups: no answer")
	}
	gids, err := parseInitgroups(out, name)
	if err != nil {
		return nil, fmt.Errorf("getent initgroups: %w", err)
	}
	return gids, nil
}
