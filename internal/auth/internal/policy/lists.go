package policy

import (
	"slices"

	"jacamar-ci/internal/job"
)

// lists walks the four lists in the settled order. The first match decides, so
// the lists after it have no say.
func lists(login job.Username, g Groups, r Rules) []Step {
	steps := append(userLists(login, r), groupAllowStep(r, g), groupBlockStep(r, g))
	i := slices.IndexFunc(steps, decides)
	switch {
	case i >= 0:
		for j := i + 1; j < len(steps); j++ {
			steps[j] = skip(steps[j].Rule, "%s has decided", steps[i].Rule)
		}
	case r.UserAllow.Set || r.GroupAllow.Set:
		steps = append(steps, deny(NoMatch, "%q is in no allowlist", login.String()))
	}
	return steps
}

func decides(s Step) bool { return s.Outcome != Skipped }

func decided(steps []Step) bool { return slices.ContainsFunc(steps, decides) }

func userLists(login job.Username, r Rules) []Step {
	return []Step{userAllowStep(login.String(), r.UserAllow), userBlockStep(login.String(), r.UserBlock)}
}

func userAllowStep(login string, list List) Step {
	switch {
	case !list.Set:
		return skip(UserAllow, "not set")
	case slices.Contains(list.Entries, login):
		return ok(UserAllow, "%q is in the list", login)
	}
	return skip(UserAllow, "no match")
}

func userBlockStep(login string, list []string) Step {
	switch {
	case len(list) == 0:
		return skip(UserBlock, "not set")
	case slices.Contains(list, login):
		return deny(UserBlock, "%q is in the list", login)
	}
	return skip(UserBlock, "no match")
}

func groupAllowStep(r Rules, g Groups) Step {
	switch {
	case !r.GroupAllow.Set:
		return skip(GroupAllow, "not set")
	case g.Compared != r.groupLists():
		return deny(GroupAllow, "the groups of the account were not compared with the list")
	case g.Allowed > 0:
		return ok(GroupAllow, "%q is in the list", entry(r.GroupAllow.Entries, g.Allowed))
	}
	return skip(GroupAllow, "no match")
}

// groupBlockStep refuses what it cannot rule out.
func groupBlockStep(r Rules, g Groups) Step {
	switch {
	case len(r.GroupBlock) == 0:
		return skip(GroupBlock, "not set")
	case g.Compared != r.groupLists():
		return deny(GroupBlock, "the groups of the account were not compared with the list")
	case g.Blocked > 0:
		return deny(GroupBlock, "%q is in the list", entry(r.GroupBlock, g.Blocked))
	case g.Unnamed != nil:
		return deny(GroupBlock, "group %d has no name that can be compared with the list", *g.Unnamed)
	case g.Unknown > 0:
		return deny(GroupBlock, "the name service does not know %q of the list, and the account is in too many groups to compare their names",
			entry(r.GroupBlock, g.Unknown))
	}
	return skip(GroupBlock, "no match")
}

// entry is the nth of a list, counted from 1, for a reason.
func entry(list []string, n int) string {
	if n > len(list) {
		return ""
	}
	return job.Clip(list[n-1])
}
