package policy

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"

	"jacamar-ci/internal/job"
)

// Groups are the result of comparing an account's groups with the site's lists of
// groups. It has no names, so that its size does not depend on the account. With
// Rules.Keep the account is that of the name which the job asked for, if there is
// one.
type Groups struct {
	// Compared identifies the lists, "" for none.
	Compared string `json:"compared,omitempty"`
	// Allowed and Blocked are the first entry of either list that is a group of the
	// account, counted from 1; 0 is none.
	Allowed int `json:"allowed,omitempty"`
	Blocked int `json:"blocked,omitempty"`
	// Unnamed is a group of the account without a name to compare with the
	// blocklist, and Unknown an entry of it, counted from 1, that may be the name of
	// any.
	Unnamed *job.GID `json:"unnamed,omitempty"`
	Unknown int      `json:"unknown,omitempty"`
}

// Membership is what the name service says of an account's groups.
type Membership struct {
	// IDs are all its groups.
	IDs job.GIDs
	// Listed are the ids of the groups that the lists name. An entry without one is
	// unknown to the name service.
	Listed map[string]job.GID
	// Named is set once the names of the groups are known: Names, and Unnamed for
	// those without.
	Named   bool
	Names   []string
	Unnamed job.GIDs
}

// ListedGroups are the entries of both lists of groups.
func (r Rules) ListedGroups() []string { return slices.Concat(r.GroupAllow.inForce(), r.GroupBlock) }

// NeedsGroups reports whether a list of groups has a say about the login that g does
// not answer: none is set, a list of users decides before, or g is the answer.
func (r Rules) NeedsGroups(login job.Username, g Groups) bool {
	before := userLists(login, r)
	return (r.GroupAllow.Set || len(r.GroupBlock) > 0) && !decided(before) && g.Compared != r.groupLists()
}

// Compare compares an account's groups with the lists. An entry is a group of the
// account by its id or by its name: several names may have one id, and in several
// sources one name several ids. settled is false where the names of the groups could
// change the result.
func (m Membership) Compare(r Rules) (g Groups, settled bool) {
	allow := r.GroupAllow.inForce()
	g = Groups{Compared: r.groupLists(), Allowed: m.first(allow), Blocked: m.first(r.GroupBlock)}
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

// first returns the first entry that is one of the account's groups.
func (m Membership) first(entries []string) int {
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

// groupLists identifies both lists of groups as they are now.
func (r Rules) groupLists() string {
	// A list of strings and booleans always has a JSON form.
	text, _ := json.Marshal([]any{r.GroupAllow.Set, r.GroupAllow.Entries, r.GroupBlock})
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
