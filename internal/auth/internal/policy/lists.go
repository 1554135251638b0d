package policy

import (
	"slices"

	"jacamar-ci/internal/job"
)

// lists walks the four lists in the settled order. The first match decides, so
// the lists after it have no say.
func lists(login job.Username, g Groups, r Rules) []Step {
	user := []string{login.String()}
	steps := []Step{
		allowStep(UserAllow, r.UserAllow, user),
		blockStep(UserBlock, r.UserBlock, user),
		allowStep(GroupAllow, r.GroupAllow, g.Names),
		groupBlockStep(r.GroupBlock, g),
	}
	i := slices.IndexFunc(steps, func(s Step) bool { return s.Outcome != Skipped })
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

func allowStep(rule Rule, list List, names []string) Step {
	if !list.Set {
		return skip(rule, "not set")
	}
	if name, found := firstCommon(list.Entries, names); found {
		return ok(rule, "%q is in the list", name)
	}
	return skip(rule, "no match")
}

func blockStep(rule Rule, list, names []string) Step {
	if len(list) == 0 {
		return skip(rule, "not set")
	}
	if name, found := firstCommon(list, names); found {
		return deny(rule, "%q is in the list", name)
	}
	return skip(rule, "no match")
}

// groupBlockStep refuses what it cannot rule out.
func groupBlockStep(list []string, g Groups) Step {
	s := blockStep(GroupBlock, list, g.Names)
	if s.Outcome == Skipped && len(list) > 0 && len(g.Unnamed) > 0 {
		return deny(GroupBlock, "group %d has no name, so it cannot be compared with the list", g.Unnamed[0])
	}
	return s
}

// firstCommon returns the first of names that is in list.
func firstCommon(list, names []string) (string, bool) {
	i := slices.IndexFunc(names, func(n string) bool { return slices.Contains(list, n) })
	if i < 0 {
		return "", false
	}
	return names[i], true
}
