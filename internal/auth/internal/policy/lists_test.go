package policy

import (
	"fmt"
	"slices"
	"testing"
	"testing/quick"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// model is the reference for the lists: four conditions in their order, without steps
// and reasons.
func model(user string, groups []string, unnamed bool, r Rules) bool {
	for _, q := range []struct {
		hit, verdict bool
	}{
		{slices.Contains(r.UserAllow.Entries, user) && r.UserAllow.Set, true},
		{slices.Contains(r.UserBlock, user), false},
		{overlap(r.GroupAllow.Entries, groups) && r.GroupAllow.Set, true},
		{overlap(r.GroupBlock, groups), false},
		{len(r.GroupBlock) != 0 && unnamed, false},
	} {
		if q.hit {
			return q.verdict
		}
	}
	return !r.UserAllow.Set && !r.GroupAllow.Set
}

func overlap(a, b []string) bool {
	seen := map[string]bool{}
	for _, s := range a {
		seen[s] = true
	}
	for _, s := range b {
		if seen[s] {
			return true
		}
	}
	return false
}

// named compares the groups of an account whose names are all known.
func (m Membership) named(r Rules) Groups {
	m.Named = true
	g, _ := m.Compare(r)
	return g
}

// TestListsAgainstTheModel tests every state of the four lists: not set, empty, others
// only, the user only, both; for four kinds of group membership.
func TestListsAgainstTheModel(t *testing.T) {
	users := [][]string{nil, {}, {"bob"}, {"alice"}, {"bob", "alice"}}
	groups := [][]string{nil, {}, {"wheel"}, {"staff"}, {"wheel", "staff"}}
	list := func(e []string) List[string] { return List[string]{Set: e != nil, Entries: e} }
	members := []Membership{{}, {Names: []string{"x", "staff"}}, {Unnamed: job.GIDs{5}}, {Names: []string{"x", "staff"}, Unnamed: job.GIDs{5}}}
	count := 0
	for i := range 625 {
		r := Rules{
			PreValidation: true,
			UserAllow:     list(users[i%5]), UserBlock: users[i/5%5],
			GroupAllow: list(groups[i/25%5]), GroupBlock: groups[i/125],
		}
		for _, of := range members {
			m, g := good(t), of.named(r)
			m.facts.Groups = g
			m.rules.UserAllow, m.rules.UserBlock, m.rules.GroupAllow, m.rules.GroupBlock = r.UserAllow, r.UserBlock, r.GroupAllow, r.GroupBlock
			_, d := m.decide()
			want := model("alice", of.Names, len(of.Unnamed) > 0, r)
			if d.Allowed != want {
				t.Errorf("rules %+v, groups %+v: allowed %v, the model gives %v", r, of, d.Allowed, want)
			}
			if pre := PreValidate(m.candidate, g, r); pre.Allowed != want || pre.Rule != d.Rule {
				t.Errorf("rules %+v, groups %+v: before RunAs %v by %s, later %v by %s", r, of, pre.Allowed, pre.Rule, want, d.Rule)
			}
			count++
		}
	}
	if count != 2500 {
		t.Errorf("%d cases", count)
	}
}

func TestListsProperties(t *testing.T) {
	names := []string{"alice", "bob", "staff", "wheel", ""}
	pick := func(bits uint8) []string {
		var l []string
		for i, n := range names {
			if bits>>i&1 == 1 {
				l = append(l, n)
			}
		}
		return l
	}
	agrees := func(ua, ub, ga, gb, in uint8, uset, gset, unnamed bool) bool {
		r := Rules{UserAllow: List[string]{uset, pick(ua)}, UserBlock: pick(ub), GroupAllow: List[string]{gset, pick(ga)}, GroupBlock: pick(gb), PreValidation: true}
		m := Membership{Names: pick(in)}
		if unnamed {
			m.Unnamed = job.GIDs{7}
		}
		return PreValidate(Candidate{login: testutil.Username(t, "alice")}, m.named(r), r).Allowed == model("alice", m.Names, unnamed, r)
	}
	if err := quick.Check(agrees, nil); err != nil {
		t.Error(err)
	}
	// A longer blocklist or a shorter allowlist never allows more.
	monotone := func(ua, ub, ga, gb, in, more uint8, uset, gset bool) bool {
		m := Membership{Names: pick(in)}
		c := Candidate{login: testutil.Username(t, "alice")}
		tight := Rules{UserAllow: List[string]{uset, pick(ua &^ more)}, UserBlock: pick(ub | more), GroupAllow: List[string]{gset, pick(ga &^ more)}, GroupBlock: pick(gb | more), PreValidation: true}
		loose := Rules{UserAllow: List[string]{uset, pick(ua)}, UserBlock: pick(ub), GroupAllow: List[string]{gset, pick(ga)}, GroupBlock: pick(gb), PreValidation: true}
		return !PreValidate(c, m.named(tight), tight).Allowed || PreValidate(c, m.named(loose), loose).Allowed
	}
	if err := quick.Check(monotone, nil); err != nil {
		t.Error(err)
	}
}

func TestListsNameTheRule(t *testing.T) {
	for _, c := range []struct {
		name   string
		rules  Rules
		groups Membership
		rule   Rule
		reason string
		steps  string
	}{
		{
			"nothing set",
			Rules{},
			Membership{},
			Default, "no rule refuses the job",
			"[skipped: not set][skipped: not set][skipped: not set][skipped: not set]",
		},
		{
			"user allowed and blocked",
			Rules{UserAllow: allow("bob", "alice"), UserBlock: []string{"alice"}},
			Membership{},
			UserAllow, `"alice" is in the list`,
			`[ok: "alice" is in the list][skipped: user_allowlist has decided][skipped: user_allowlist has decided][skipped: user_allowlist has decided]`,
		},
		{
			"user blocked, group allowed",
			Rules{UserBlock: []string{"alice"}, GroupAllow: allow("staff")},
			Membership{Names: []string{"staff"}},
			UserBlock, `"alice" is in the list`,
			`[skipped: not set][deny: "alice" is in the list][skipped: user_blocklist has decided][skipped: user_blocklist has decided]`,
		},
		{
			"group allowed and blocked",
			Rules{UserAllow: allow("bob"), GroupAllow: allow("staff"), GroupBlock: []string{"staff"}},
			Membership{Names: []string{"x", "staff"}},
			GroupAllow, `"staff" is in the list`,
			`[skipped: no match][skipped: not set][ok: "staff" is in the list][skipped: groups_allowlist has decided]`,
		},
		{
			"group blocked",
			Rules{GroupBlock: []string{"staff"}},
			Membership{Names: []string{"x", "staff"}},
			GroupBlock, `"staff" is in the list`,
			`[skipped: not set][skipped: not set][skipped: not set][deny: "staff" is in the list]`,
		},
		{
			"group without a name",
			Rules{GroupBlock: []string{"wheel"}},
			Membership{Names: []string{"x"}, Unnamed: job.GIDs{77, 78}},
			GroupBlock, "group 77 has no name that can be compared with the list",
			"[skipped: not set][skipped: not set][skipped: not set][deny: group 77 has no name that can be compared with the list]",
		},
		{
			"group without a name, no blocklist",
			Rules{},
			Membership{Unnamed: job.GIDs{77}},
			Default, "no rule refuses the job",
			"[skipped: not set][skipped: not set][skipped: not set][skipped: not set]",
		},
		{
			"group without a name, after a match",
			Rules{GroupAllow: allow("x"), GroupBlock: []string{"wheel"}},
			Membership{Names: []string{"x"}, Unnamed: job.GIDs{77}},
			GroupAllow, `"x" is in the list`,
			`[skipped: not set][skipped: not set][ok: "x" is in the list][skipped: groups_allowlist has decided]`,
		},
		{
			"in no allowlist",
			Rules{UserAllow: allow("bob"), UserBlock: []string{"eve"}},
			Membership{},
			NoMatch, `"alice" is in no allowlist`,
			`[skipped: no match][skipped: no match][skipped: not set][skipped: not set][deny: "alice" is in no allowlist]`,
		},
		{
			"empty user allowlist",
			Rules{UserAllow: allow()},
			Membership{},
			NoMatch, `"alice" is in no allowlist`,
			`[skipped: no match][skipped: not set][skipped: not set][skipped: not set][deny: "alice" is in no allowlist]`,
		},
		{
			"empty group allowlist",
			Rules{GroupAllow: allow()},
			Membership{Names: []string{"staff"}},
			NoMatch, `"alice" is in no allowlist`,
			`[skipped: not set][skipped: not set][skipped: no match][skipped: not set][deny: "alice" is in no allowlist]`,
		},
		{
			"a user is not a group",
			Rules{GroupAllow: allow("alice"), UserBlock: []string{"staff"}},
			Membership{Names: []string{"staff"}},
			NoMatch, `"alice" is in no allowlist`,
			`[skipped: not set][skipped: no match][skipped: no match][skipped: not set][deny: "alice" is in no allowlist]`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rules.PreValidation = true
			d := PreValidate(Candidate{login: testutil.Username(t, "alice")}, c.groups.named(c.rules), c.rules)
			if d.Rule != c.rule || d.Reason != c.reason {
				t.Errorf("decided by %s: %s", d.Rule, d.Reason)
			}
			var steps string
			for i, s := range d.Steps {
				steps += fmt.Sprintf("[%s: %s]", s.Outcome, s.Reason)
				if want := []Rule{UserAllow, UserBlock, GroupAllow, GroupBlock, NoMatch}[i]; s.Rule != want {
					t.Errorf("step %d is %s, want %s", i, s.Rule, want)
				}
			}
			if steps != c.steps {
				t.Errorf("steps %s\nwant  %s", steps, c.steps)
			}
		})
	}
}

func TestPreValidateOnlyIfConfigured(t *testing.T) {
	d := PreValidate(Candidate{login: testutil.Username(t, "alice")}, Groups{}, Rules{UserBlock: []string{"alice"}})
	if !d.Allowed || len(d.Steps) != 1 || d.Steps[0] != (Step{PreValidation, Skipped, "not set"}) {
		t.Errorf("decision %+v", d)
	}
}
