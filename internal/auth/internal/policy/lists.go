package policy

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"

	"jacamar-ci/internal/job"
)

// lists checks the four lists in their order. The first match decides; the lists after
// it are skipped.
func lists(login job.Username, g Groups, r Rules) []Step {
	steps := append(userLists(login, r), groupAllowStep(r, g), groupBlockStep(r, g))
	i := slices.IndexFunc(steps, isDecisive)
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

func isDecisive(s Step) bool { return s.Outcome != Skipped }

func userLists(login job.Username, r Rules) []Step {
	return []Step{userAllowStep(login.String(), r.UserAllow), userBlockStep(login.String(), r.UserBlock)}
}

func userAllowStep(login string, list List[string]) Step {
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
	case g.Compared != r.groupListsHash():
		return deny(GroupAllow, "the groups of the account were not compared with the list")
	case g.Allowed > 0:
		return ok(GroupAllow, "%q is in the list", entryAt(r.GroupAllow.Entries, g.Allowed))
	}
	return skip(GroupAllow, "no match")
}

// groupBlockStep also refuses an account that could be in a listed group.
func groupBlockStep(r Rules, g Groups) Step {
	switch {
	case len(r.GroupBlock) == 0:
		return skip(GroupBlock, "not set")
	case g.Compared != r.groupListsHash():
		return deny(GroupBlock, "the groups of the account were not compared with the list")
	case g.Blocked > 0:
		return deny(GroupBlock, "%q is in the list", entryAt(r.GroupBlock, g.Blocked))
	case g.Unnamed != nil:
		return deny(GroupBlock, "group %d has no name that can be compared with the list", *g.Unnamed)
	case g.Unknown > 0:
		return deny(GroupBlock, "the name service has no group %q of the list, and the account is in too many groups to compare their names",
			entryAt(r.GroupBlock, g.Unknown))
	}
	return skip(GroupBlock, "no match")
}

// entryAt returns entry n of a list, counted from 1, for a message.
func entryAt(list []string, n int) string {
	if n > len(list) {
		return ""
	}
	return job.Clip(list[n-1])
}

// Groups is the result of comparing an account's groups with the site's lists of
// groups. It has no names, so that its size does not depend on the account. With
// Rules.RunAsService the account is the one with the requested name, if it exists.
type Groups struct {
	// Compared is the hash of the lists, "" for none.
	Compared string `json:"compared,omitempty"`
	// Allowed and Blocked are the first entry of each list that is a group of the
	// account, counted from 1; 0 is none.
	Allowed int `json:"allowed,omitempty"`
	Blocked int `json:"blocked,omitempty"`
	// Unnamed is a group of the account without a name to compare with the blocklist.
	// Unknown is an entry of the blocklist, counted from 1, without a known id.
	Unnamed *job.GID `json:"unnamed,omitempty"`
	Unknown int      `json:"unknown,omitempty"`
}

// Membership is the name service's data about an account's groups.
type Membership struct {
	// IDs are all its groups.
	IDs job.GIDs
	// Listed has the ids of the groups in the lists. The name service does not have an
	// entry without id.
	Listed map[string]job.GID
	// Named is set once the names of the groups are known: Names, and Unnamed for the
	// groups without a name.
	Named   bool
	Names   []string
	Unnamed job.GIDs
}

// ListedGroups are the entries of both lists of groups.
func (r Rules) ListedGroups() []string { return slices.Concat(r.GroupAllow.active(), r.GroupBlock) }

// NeedsGroups reports whether the decision about the login needs the account's groups.
// It does not if no list of groups is set, if a list of users decides first, or if g
// is the result for these lists.
func (r Rules) NeedsGroups(login job.Username, g Groups) bool {
	before := userLists(login, r)
	return (r.GroupAllow.Set || len(r.GroupBlock) > 0) && !slices.ContainsFunc(before, isDecisive) && g.Compared != r.groupListsHash()
}

// Compare compares an account's groups with the lists. An entry is a group of the
// account by its id or by its name: several names may have one id, and with several
// sources one name may have several ids. final is false if the names of the groups
// could change the result.
func (m Membership) Compare(r Rules) (g Groups, final bool) {
	allow := r.GroupAllow.active()
	g = Groups{Compared: r.groupListsHash(), Allowed: m.firstListed(allow), Blocked: m.firstListed(r.GroupBlock)}
	if g.Allowed > 0 {
		return g, true
	}
	names := len(r.GroupBlock) > 0 && g.Blocked == 0
	switch {
	case names && len(m.Unnamed) > 0:
		g.Unnamed = &m.Unnamed[0]
	case names && !m.Named:
		g.Unknown = m.firstUnknown(r.GroupBlock)
	}
	return g, m.Named || !names && len(allow) == 0
}

// firstListed returns the first entry that is one of the account's groups, counted
// from 1; 0 is none.
func (m Membership) firstListed(entries []string) int {
	return 1 + slices.IndexFunc(entries, func(entry string) bool {
		id, known := m.Listed[entry]
		return known && m.IDs.Has(id) || slices.Contains(m.Names, entry)
	})
}

func (m Membership) firstUnknown(entries []string) int {
	return 1 + slices.IndexFunc(entries, func(entry string) bool {
		_, known := m.Listed[entry]
		return !known
	})
}

// groupListsHash identifies the present contents of both lists of groups.
func (r Rules) groupListsHash() string {
	// A list of strings and booleans always has a JSON form.
	text, _ := json.Marshal([]any{r.GroupAllow.Set, r.GroupAllow.Entries, r.GroupBlock})
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
