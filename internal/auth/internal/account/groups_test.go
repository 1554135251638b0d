package account

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

func TestGroupNames(t *testing.T) {
	ids := job.GIDs{3, 5, 70, 4294967294}
	for _, c := range []struct {
		name, answer string
		status       string
		want         GroupNames
	}{
		{
			"all", "sys:x:3:\ntwo words:x:5:alice,bob\nusers:*:70:a:b\nlast::4294967294:\n", "0",
			GroupNames{Names: []string{"sys", "two words", "users", "last"}},
		},
		{"none", "", "2", GroupNames{Unnamed: job.GIDs{3, 5, 70, 4294967294}}},
		{
			"first and last without a name", "five:x:5:\nusers:x:70:\n", "2",
			GroupNames{Names: []string{"five", "users"}, Unnamed: job.GIDs{3, 4294967294}},
		},
		{
			"some between", "sys:x:3:\nlast:x:4294967294:\n", "2",
			GroupNames{Names: []string{"sys", "last"}, Unnamed: job.GIDs{5, 70}},
		},
		{
			"a name in Latin-1, an empty one and one with a control character", "sys:x:3:\nf\\374r:x:5:\n:x:70:\na\\033b:x:4294967294:\n", "0",
			GroupNames{Names: []string{"sys"}, Unnamed: job.GIDs{5, 70, 4294967294}},
		},
		{
			"a long name", strings.Repeat("n", 10<<10) + ":x:3:\nfive:x:5:\nusers:x:70:\nlast:x:4294967294:\n", "0",
			GroupNames{Names: []string{strings.Repeat("n", 10<<10), "five", "users", "last"}},
		},
		{
			"members in Latin-1", "sys:x:3:Ren\\351e\nfive:x:5:\nusers:x:70:\nlast:x:4294967294:\n", "0",
			GroupNames{Names: []string{"sys", "five", "users", "last"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := stub(t, `[ "$*" = "group -- 3 5 70 4294967294" ] || exit 9; printf '`+strings.ReplaceAll(c.answer, "\n", `\n`)+`'; exit `+c.status)
			got, err := n.GroupNames(t.Context(), ids)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+.300v, %v; want %+.300v", got, err, c.want)
			}
		})
	}
}

func TestGroupIDs(t *testing.T) {
	n := stub(t, `[ "$*" = "group -- ci HPC two words gone" ] || exit 9; printf 'ci:x:7:alice\nhpc:x:8:\ntwo words:x:9:\n'; exit 2`)
	got, err := n.GroupIDs(t.Context(), []string{"ci", "HPC", "two words", "gone"})
	if want := map[string]job.GID{"ci": 7, "two words": 9}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestNoGroupsNoQuery(t *testing.T) {
	n := stub(t, "exit 9")
	if got, err := n.GroupNames(t.Context(), nil); err != nil || !reflect.DeepEqual(got, GroupNames{}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := n.GroupIDs(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestGroupsRefuse(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"cut off", "printf sys:x:3:", "getent group: the output is cut off"},
		{"three fields", "echo sys:x:3", "getent group: the entry has 3 fields, not 4"},
		{"id is none", "echo sys:x:03:", `getent group: "03" is not a user or group id`},
		{"not requested", "echo sys:x:4:", "getent returned group 4, which was not requested"},
		{"twice", "echo sys:x:3:; echo sys:x:3:", "getent returned group 3, which was not requested"},
		{"failure", "exit 1", "getent group: exit status 1: "},
		{"hangs", "exec sleep 1000", "getent group: timed out after 2s"},
		{"endless", "exec cat /dev/zero", "getent group: printed more than 16777216 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := stub(t, c.script)
			if c.name == "hangs" {
				n.groupLimit = 2 * time.Second
			}
			got, err := n.GroupNames(t.Context(), job.GIDs{3, 5})
			groupsRefused(t, err, "cannot look up groups: "+c.want)
			if !reflect.DeepEqual(got, GroupNames{}) {
				t.Errorf("an error came with %+v", got)
			}
			if strings.Contains(c.want, "not requested") {
				return // the key is a name, not an id
			}
			ids, err := n.GroupIDs(t.Context(), []string{"sys"})
			groupsRefused(t, err, "cannot look up groups: "+c.want)
			if ids != nil {
				t.Errorf("an error came with %+v", ids)
			}
		})
	}
	_, err := stub(t, "exit 9").GroupNames(t.Context(), make(job.GIDs, MaxGroupNames+1))
	groupsRefused(t, err, "cannot look up the names of 1025 groups: more than 1024")
}

func groupsRefused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), want) || failure.KindOf(err) != failure.System {
		t.Errorf("error %v of kind %v, want %q", err, failure.KindOf(err), want)
	}
}

// TestManyGroupsInParts: neither the arguments nor one output grows with the account,
// and the order of the result is that of the keys.
func TestManyGroupsInParts(t *testing.T) {
	n := stub(t, `shift 2; echo "$#" >>"${0%/*}/calls"; for gid; do echo "g$gid:x:$gid:"; done`)
	ids := make(job.GIDs, MaxGroupNames)
	var want []string
	for i := range ids {
		ids[i] = job.GID(1000 + 7*i)
		want = append(want, fmt.Sprintf("g%d", ids[i]))
	}
	got, err := n.GroupNames(t.Context(), ids)
	if err != nil || !slices.Equal(got.Names, want) || len(got.Unnamed) != 0 {
		t.Errorf("%d names, %d without, %v", len(got.Names), len(got.Unnamed), err)
	}
	if calls := stubFile(t, n, "calls"); calls != strings.Repeat("256\n", 4) {
		t.Errorf("keys of the calls:\n%s", calls)
	}
}

// TestFailureCancelsOtherCalls: the first call fails while the others hang.
func TestFailureCancelsOtherCalls(t *testing.T) {
	n := stub(t, `[ "$3" = 0 ] && exit 1; exec sleep 1000`)
	ids := make(job.GIDs, MaxGroupNames)
	for i := range ids {
		ids[i] = job.GID(i)
	}
	begin := time.Now()
	_, err := n.GroupNames(t.Context(), ids)
	groupsRefused(t, err, "cannot look up groups: getent group: exit status 1: ")
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestGroupTimeout: a directory looks up every member of a group, or searches every
// group for an account.
func TestGroupTimeout(t *testing.T) {
	n := stub(t, `sleep 0.5; case $1 in group) echo sys:x:3:;; initgroups) echo alice 3;; *) exec sleep 1000;; esac`)
	n.limit = 200 * time.Millisecond
	if got, err := n.GroupNames(t.Context(), job.GIDs{3}); err != nil || len(got.Names) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := n.GroupsOf(t.Context(), job.Account{Name: testutil.Username(t, "alice"), GID: 4}); err != nil || !slices.Equal(got, job.GIDs{3, 4}) {
		t.Errorf("%v, %v", got, err)
	}
	if s := System(nil, nil); s.limit != 10*time.Second || s.groupLimit != time.Minute {
		t.Errorf("the limits are %v and %v", s.limit, s.groupLimit)
	}
}

func TestMissing(t *testing.T) {
	for _, tc := range []struct {
		database string
		names    []string
		want     []string
	}{
		{"passwd", nil, nil},
		{"passwd", []string{"root"}, nil},
		{"passwd", []string{"root", "jci-no-such-user", "daemon", "jci-none"}, []string{"jci-no-such-user", "jci-none"}},
		{"group", []string{"root", "jci-no-such-group"}, []string{"jci-no-such-group"}},
		{"group", []string{"0"}, []string{"0"}}, // a number is looked up as an id, and is no name
		{"group", []string{"-x", "--help"}, []string{"-x", "--help"}},
		{"passwd", slices.Repeat([]string{"root"}, 2000), nil},
	} {
		got, err := System(nil, nil).Missing(t.Context(), tc.database, tc.names)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s %.60q: %q, %v", tc.database, strings.Join(tc.names, " "), got, err)
		}
	}
	if _, err := (Names{getent: []string{"/nonexistent/getent"}}).Missing(t.Context(), "passwd", []string{"root"}); err == nil {
		t.Error("every name is known without getent")
	}
}
