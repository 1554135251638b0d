package policy

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// listed is a directory with the groups ci (10) with its second name ci-old, hpc (11)
// and guests (12). It does not have the group gone.
var listed = map[string]job.GID{"ci": 10, "ci-old": 10, "hpc": 11, "guests": 12}

func TestCompare(t *testing.T) {
	id := func(n job.GID) *job.GID { return &n }
	for _, c := range []struct {
		name    string
		of      Membership
		allow   List[string]
		block   []string
		want    Groups // without Compared
		settled bool
	}{
		{"no list", Membership{IDs: job.GIDs{10}}, List[string]{}, nil, Groups{}, true},
		{"no list, a group without a name", Membership{IDs: job.GIDs{10}, Named: true, Unnamed: job.GIDs{10}}, List[string]{}, nil, Groups{}, true},
		{"empty allowlist", Membership{IDs: job.GIDs{10}}, allow(), nil, Groups{}, true},
		{"allowed by the id", Membership{IDs: job.GIDs{9, 10}}, allow("hpc", "ci"), nil, Groups{Allowed: 2}, true},
		{"allowed by a second name of the id", Membership{IDs: job.GIDs{10}}, allow("ci-old"), nil, Groups{Allowed: 1}, true},
		{"allowed by the name of another id", Membership{IDs: job.GIDs{77}, Named: true, Names: []string{"ci"}}, allow("ci"), nil, Groups{Allowed: 1}, true},
		{"not allowed by the id", Membership{IDs: job.GIDs{9}}, allow("ci"), nil, Groups{}, false},
		{"not allowed", Membership{IDs: job.GIDs{9}, Named: true, Names: []string{"users"}}, allow("ci"), nil, Groups{}, true},
		{"not allowed, a group without a name", Membership{IDs: job.GIDs{9}, Named: true, Unnamed: job.GIDs{9}}, allow("ci"), nil, Groups{}, true},
		{"allowed and blocked", Membership{IDs: job.GIDs{10, 12}}, allow("ci"), []string{"guests"}, Groups{Allowed: 1, Blocked: 1}, true},
		{"allowed, and the blocklist has an unknown group", Membership{IDs: job.GIDs{10}}, allow("ci"), []string{"gone"}, Groups{Allowed: 1}, true},
		{"blocked by the id", Membership{IDs: job.GIDs{12}}, List[string]{}, []string{"gone", "guests"}, Groups{Blocked: 2}, true},
		{"blocked by the id, but perhaps allowed by a name", Membership{IDs: job.GIDs{12}}, allow("ci"), []string{"guests"}, Groups{Blocked: 1}, false},
		{"blocked by the id, and no one is allowed", Membership{IDs: job.GIDs{12}}, allow(), []string{"guests"}, Groups{Blocked: 1}, true},
		{"blocked by the name of another id", Membership{IDs: job.GIDs{77}, Named: true, Names: []string{"guests"}}, List[string]{}, []string{"guests"}, Groups{Blocked: 1}, true},
		{"not blocked by the id", Membership{IDs: job.GIDs{9}}, List[string]{}, []string{"guests"}, Groups{}, false},
		{"not blocked", Membership{IDs: job.GIDs{9}, Named: true, Names: []string{"users"}}, List[string]{}, []string{"guests"}, Groups{}, true},
		{"a group without a name", Membership{IDs: job.GIDs{8, 9}, Named: true, Names: []string{"users"}, Unnamed: job.GIDs{8}}, List[string]{}, []string{"guests"}, Groups{Unnamed: id(8)}, true},
		{"blocked, and a group without a name", Membership{IDs: job.GIDs{8, 12}, Named: true, Unnamed: job.GIDs{8}}, List[string]{}, []string{"guests"}, Groups{Blocked: 1}, true},
		{"the blocklist has an unknown group", Membership{IDs: job.GIDs{9}}, List[string]{}, []string{"guests", "gone"}, Groups{Unknown: 2}, false},
		{"the same, and all names are known", Membership{IDs: job.GIDs{9}, Named: true, Names: []string{"users"}}, List[string]{}, []string{"guests", "gone"}, Groups{}, true},
		{"blocked, and the blocklist has an unknown group", Membership{IDs: job.GIDs{12}}, List[string]{}, []string{"gone", "guests"}, Groups{Blocked: 2}, true},
		{"no account", Membership{Named: true}, allow("ci"), []string{"gone"}, Groups{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Rules{GroupAllow: c.allow, GroupBlock: c.block}
			c.of.Listed = listed
			got, settled := c.of.Compare(r)
			if got.Compared == "" || got.Compared != r.groupListsHash() {
				t.Errorf("compared with %q", got.Compared)
			}
			got.Compared = ""
			if !reflect.DeepEqual(got, c.want) || settled != c.settled {
				t.Errorf("got %+v, settled %v; want %+v, %v", got, settled, c.want, c.settled)
			}
		})
	}
}

// TestFinal: after a final comparison no group names change the decision, and an
// account that is allowed without the names is allowed with them.
func TestFinal(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	names := []string{"ci", "ci-old", "hpc", "guests", "gone", "users"}
	some := func() (list []string) {
		for _, n := range names {
			if r.IntN(3) == 0 {
				list = append(list, n)
			}
		}
		return list
	}
	login := Candidate{login: testutil.Username(t, "alice")}
	early := 0
	for range 20000 {
		rules := Rules{PreValidation: true, GroupAllow: List[string]{r.IntN(2) == 0, some()}, GroupBlock: some()}
		ids, err := job.SortGIDs(job.GID(9+r.IntN(5)), job.GID(9+r.IntN(5)))
		if err != nil {
			t.Fatal(err)
		}
		m := Membership{IDs: ids, Listed: listed}
		before, settled := m.Compare(rules)
		m.Named, m.Names = true, some()
		if r.IntN(2) == 0 {
			m.Unnamed = job.GIDs{9}
		}
		after, again := m.Compare(rules)
		if !again {
			t.Fatalf("%+v is not settled by the names of all groups", m)
		}
		a, b := PreValidate(login, before, rules), PreValidate(login, after, rules)
		if settled && (a.Allowed != b.Allowed || a.Rule != b.Rule) {
			t.Fatalf("rules %+v, groups %+v: %v by %s, and with names %v by %s", rules, m, a.Allowed, a.Rule, b.Allowed, b.Rule)
		}
		if settled {
			early++
		}
	}
	if early < 1000 {
		t.Errorf("only %d of the cases needed no names", early)
	}
}

func TestNeedsGroups(t *testing.T) {
	alice := testutil.Username(t, "alice")
	for _, c := range []struct {
		name  string
		rules Rules
		want  bool
	}{
		{"no list", Rules{}, false},
		{"lists of users", Rules{UserAllow: allow("bob"), UserBlock: []string{"eve"}}, false},
		{"a group allowlist", Rules{GroupAllow: allow("ci")}, true},
		{"an empty one", Rules{GroupAllow: allow()}, true},
		{"a group blocklist", Rules{GroupBlock: []string{"ci"}}, true},
		{"an empty one", Rules{GroupBlock: []string{}}, false},
		{"the user is allowed before", Rules{UserAllow: allow("alice"), GroupAllow: allow("ci"), GroupBlock: []string{"x"}}, false},
		{"the user is blocked before", Rules{UserBlock: []string{"alice"}, GroupAllow: allow("ci")}, false},
		{"other users are allowed and blocked before", Rules{UserAllow: allow("bob"), UserBlock: []string{"eve"}, GroupBlock: []string{"x"}}, true},
	} {
		if got := c.rules.NeedsGroups(alice, Groups{}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		g, _ := Membership{Named: true}.Compare(c.rules)
		if c.rules.NeedsGroups(alice, g) {
			t.Errorf("%s: the groups are requested again", c.name)
		}
	}
}

func TestListedGroups(t *testing.T) {
	r := Rules{GroupAllow: allow("a", "b"), GroupBlock: []string{"c"}}
	if got := r.ListedGroups(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("%q", got)
	}
	if r.GroupAllow.Set = false; !slices.Equal(r.ListedGroups(), []string{"c"}) {
		t.Errorf("of a list that is not set: %q", r.ListedGroups())
	}
}

// TestComparedWithOtherLists: the result for one list does not apply to another list,
// and refuses the job.
func TestComparedWithOtherLists(t *testing.T) {
	variants := []Rules{
		{GroupAllow: allow("ci")},
		{GroupAllow: allow("ci", "hpc")},
		{GroupAllow: allow("hpc", "ci")},
		{GroupBlock: []string{"ci"}},
		{GroupAllow: allow(), GroupBlock: []string{"ci"}},
		{GroupAllow: allow("ci"), GroupBlock: []string{"hpc"}},
		{GroupAllow: allow(`ci","hpc`)},
	}
	login := Candidate{login: testutil.Username(t, "alice")}
	for i, was := range variants {
		g, _ := Membership{IDs: job.GIDs{10}, Listed: listed, Named: true, Names: []string{"ci"}}.Compare(was)
		for j, now := range variants {
			now.PreValidation = true
			if i == j {
				continue
			}
			d := PreValidate(login, g, now)
			if d.Allowed || !strings.Contains(d.Reason, "were not compared") || !now.NeedsGroups(login.Login(), g) {
				t.Errorf("compared with %+v and decided by %+v: %v, %s", was, now, d.Allowed, d.Reason)
			}
		}
	}
}

// TestGroupsStaySmall: the result has no names, whatever their length and number.
func TestGroupsStaySmall(t *testing.T) {
	long := strings.Repeat("n", 10<<10)
	ids := make(job.GIDs, job.MaxGroups)
	for i := range ids {
		ids[i] = job.GID(3 * i)
	}
	m := Membership{IDs: ids, Listed: map[string]job.GID{long: 6}, Named: true, Names: slices.Repeat([]string{long}, 100), Unnamed: job.GIDs{0, 3}}
	g, _ := m.Compare(Rules{GroupAllow: allow("x", "y"), GroupBlock: []string{"z"}})
	text, err := json.Marshal(g)
	if err != nil || len(text) > 100 {
		t.Errorf("%d bytes, %v: %.200s", len(text), err, text)
	}
	var back Groups
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, g) {
		t.Errorf("%+v became %+v, %v", g, back, err)
	}
	blocked, _ := m.Compare(Rules{GroupBlock: []string{"z", long}})
	d := PreValidate(Candidate{login: testutil.Username(t, "alice")}, blocked, Rules{PreValidation: true, GroupBlock: []string{"z", long}})
	if d.Allowed || d.Rule != GroupBlock || len(d.Reason) > 200 {
		t.Errorf("%v by %s: %.300s", d.Allowed, d.Rule, d.Reason)
	}
}

// TestNumberBeyondTheList: a number beyond the list names no entry.
func TestNumberBeyondTheList(t *testing.T) {
	r := Rules{PreValidation: true, GroupBlock: []string{"ci"}}
	d := PreValidate(Candidate{login: testutil.Username(t, "alice")}, Groups{Compared: r.groupListsHash(), Blocked: 2}, r)
	if d.Allowed || d.Reason != `"" is in the list` {
		t.Errorf("%v: %s", d.Allowed, d.Reason)
	}
}
