package account

import (
	"context"
	"fmt"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
)

// Owner returns the name that the name services give for the account's user id.
// It differs from the account's own name when two names share one id: then the
// two are one account to the kernel, and a rule about one of the names says
// nothing about the other.
func (n Names) Owner(ctx context.Context, a job.Account) (job.Username, error) {
	// getent takes a key of digits for an id. A name cannot be one of those:
	// job.ParseUsername refuses it.
	out, found, err := n.ask(ctx, "passwd", fmt.Sprint(uint32(a.UID)))
	switch {
	case err != nil:
		return job.Username{}, cannot(a.Name, err)
	case !found:
		return job.Username{}, cannot(a.Name, fmt.Errorf("the name service does not know its user id %d", a.UID))
	}
	owner, err := passwd.Parse(out)
	switch {
	case err != nil:
		return job.Username{}, cannot(a.Name, fmt.Errorf("getent passwd: %w", err))
	case owner.UID != a.UID:
		return job.Username{}, cannot(a.Name, fmt.Errorf("the name service answers with the user id %d for %d", owner.UID, a.UID))
	}
	return owner.Name, nil
}
