package authz

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// membership is a directory of groups in which an account is.
type membership struct {
	name string
	// lines are those of group(5) for the account.
	lines func(account string) string
	// count is the number of groups that they add to those of the account.
	count int
	// slow is for too many groups for sudo, which looks up the name of each.
	slow bool
}

// lines writes n groups with the account in each, every step-th id.
func lines(n, step int) func(string) string {
	return func(account string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "many%d:x:%d:%s\n", i, 200000+step*i, account)
		}
		return b.String()
	}
}

// most leaves one for the account's own group.
const most = 65535

// memberships are those of users in real directories.
var memberships = []membership{
	{"65536 groups in a row", lines(most, 1), most, true},
	{"65536 scattered groups", lines(most, 7), most, true},
	{"three thousand scattered groups", lines(3000, 1009), 3000, false},
	{"a name in Latin-1", func(account string) string { return "f\xfcr:x:200000:" + account + "\n" }, 1, false},
	{"a name of 10 KB", func(account string) string { return strings.Repeat("n", 10<<10) + ":x:200000:" + account + "\n" }, 1, false},
	{"two names of one id", func(account string) string { return "first:x:200000:\nsecond:x:200000:" + account + "\n" }, 1, false},
}

// joined is a namespace whose name service has these groups in addition to the
// machine's. They are not mounted over /etc/group: useradd replaces that file, and the
// kernel then removes the mount.
func joined(t *testing.T, groups string) *namespace.Namespace {
	t.Helper()
	debian.Need(t, map[string]string{"/usr/lib/libnss_extrausers.so.2": "libnss-extrausers"})
	testutil.Must(t, os.MkdirAll("/var/lib/extrausers", 0o755))
	ns := namespace.Start(t)
	testutil.Must(t, ns.Put("/etc/nsswitch.conf", "passwd: files\ngroup: files extrausers\nshadow: files\nhosts: files dns\n", 0o644))
	testutil.Must(t, ns.Empty("/var/lib/extrausers"))
	argv := ns.Enter("sh", "-c", "umask 022; cat >/var/lib/extrausers/group")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(groups)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return ns
}

// inside makes a site's runner call the driver inside a namespace.
func inside(ns *namespace.Namespace, s *site.Site) *fakerunner.Runner {
	service := s.Service()
	if service == nil {
		return in(ns, s)
	}
	r := s.Runner()
	r.Hooks.Launch = func(string) []string {
		return ns.Enter("/usr/bin/setpriv", "--reuid", service.Name, "--regid", fmt.Sprint(service.GID), "--init-groups", "--")
	}
	return r
}

// countGroups runs a job that counts its groups.
func countGroups(t *testing.T, s *site.Site, r *fakerunner.Runner) fakerunner.Result {
	t.Helper()
	return r.Run(s.Job("id -un", "echo groups $(id -G | wc -w) of $(id -g)"))
}

// TestManyGroups: B5, a job runs with all the groups of its user, whatever their number
// and names; without a list no name is looked up.
func TestManyGroups(t *testing.T) {
	for _, d := range site.Deployments() {
		if !d.Root {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t)
			own := len(s.Account.Groups)
			for _, m := range memberships {
				t.Run("B5 "+m.name, func(t *testing.T) {
					switch {
					case m.slow && d.Name == "sudo":
						t.Skip("sudo itself needs two minutes for so many groups, in each stage")
					case m.count == most && strings.Contains(m.name, "scattered") && testing.Short():
						t.Skip("the tests' name service needs 2 s in each stage for so many groups")
					}
					ns := joined(t, m.lines(s.Account.Name))
					r := countGroups(t, s, inside(ns, s))
					ran(t, s, r, "")
					if got := printed(t, r, "groups"); got[0] != fmt.Sprint(own+m.count) {
						t.Errorf("the job has %s groups, want %d", got[0], own+m.count)
					}
					smallState(t, r)
				})
			}
		})
	}
}

// smallState checks that the state in the environment of each stage is far below
// MAX_ARG_STRLEN.
func smallState(t *testing.T, r fakerunner.Result) {
	t.Helper()
	c, _ := r.Call("config")
	var answer struct {
		Env map[string]string `json:"job_env"`
	}
	if err := json.Unmarshal(c.Stdout, &answer); err != nil || len(answer.Env) == 0 {
		t.Fatalf("the output of config has no job_env: %v", err)
	}
	for name, value := range answer.Env {
		if len(value) > 48<<10 {
			t.Errorf("%s has %d bytes", name, len(value))
		}
	}
}

// TestSlowNamesOfGroups: B11, a directory that takes 12 s for a group delays jobs
// where a list has groups, and no others.
func TestSlowNamesOfGroups(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it replaces getent in a namespace")
	}
	t.Parallel()
	account := common(t).Account.Name
	ns := joined(t, "slow:x:200000:"+account+"\nother:x:200001:\n")
	testutil.Must(t, stub(ns, `[ "$1" = group ] && sleep 12; exec /usr/bin/getent.real "$@"`))
	for _, a := range []attempt{
		{name: "B11 no list"},
		{name: "B11 a list of users decides before", change: auth("user_allowlist", names{account}, "groups_blocklist", names{"other"})},
		{name: "B11 allowed", change: auth("groups_allowlist", names{"slow"})},
		{name: "B11 not allowed", change: auth("groups_allowlist", names{"other"}), rule: "no_allowlist_match"},
		{name: "B11 blocked", change: auth("groups_blocklist", names{"slow"}), rule: "groups_blocklist"},
		{name: "B11 not blocked", change: auth("groups_blocklist", names{"other"})},
	} {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			a.runner = func(s *site.Site) *fakerunner.Runner { return in(ns, s) }
			a.see = func(t *testing.T, s *site.Site, r fakerunner.Result) {
				config, _ := r.Call("config")
				slow := strings.Contains(a.name, "list") // no such list applies
				if took := config.Duration.Seconds(); slow && took >= 12 {
					t.Errorf("config took %.1f s", took)
				}
			}
			a.try(t)
		})
	}
}

// TestListsAndOddGroups: B8, lists decide right for accounts in very many groups, in
// groups without a readable name, and for several names of one id.
func TestListsAndOddGroups(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a namespace with groups of its own")
	}
	t.Parallel()
	account := common(t).Account.Name
	const ga, gb = "groups_allowlist", "groups_blocklist"
	long := strings.Repeat("n", 10<<10)
	for name, c := range map[string]struct {
		groups string
		tries  []attempt
	}{
		"very many": {lines(most, 1)(account) + "other:x:190000:\n", []attempt{
			{name: "B8 allowed", change: auth(ga, names{"other", "many65000"})},
			{name: "B8 not allowed", change: auth(ga, names{"other"}), rule: "no_allowlist_match"},
			{name: "B8 blocked", change: auth(gb, names{"other", "many65000"}), rule: gb},
			{name: "B8 not blocked", change: auth(gb, names{"other"})},
			{name: "B8 allowed before blocked", change: auth(ga, names{"many1"}, gb, names{"many2"})},
			{name: "B8 a blocked group that the name service does not know", change: auth(gb, names{"gone"}), rule: gb},
		}},
		"a name in Latin-1": {"f\xfcr:x:200000:" + account + "\nci:x:200001:" + account + "\nother:x:190000:\n", []attempt{
			{name: "B8 allowed by another group", change: auth(ga, names{"ci"})},
			{name: "B8 not allowed", change: auth(ga, names{"other"}), rule: "no_allowlist_match"},
			{name: "B8 cannot be compared", change: auth(gb, names{"other"}), rule: gb},
			{name: "B8 allowed before", change: auth(ga, names{"ci"}, gb, names{"other"})},
		}},
		"a name of 10 KB": {long + ":x:200000:" + account + "\nother:x:190000:\n", []attempt{
			{name: "B8 allowed", change: auth(ga, names{long})},
			{name: "B8 not allowed", change: auth(ga, names{"other"}), rule: "no_allowlist_match"},
			{name: "B8 blocked", change: auth(gb, names{long}), rule: gb},
			{name: "B8 not blocked", change: auth(gb, names{"other"})},
		}},
		"two names of one id": {"first:x:200000:\nsecond:x:200000:" + account + "\n", []attempt{
			{name: "B8 the first name allowed", change: auth(ga, names{"first"})},
			{name: "B8 the second name allowed", change: auth(ga, names{"second"})},
			{name: "B8 the first name blocked", change: auth(gb, names{"first"}), rule: gb},
			{name: "B8 the second name blocked", change: auth(gb, names{"second"}), rule: gb},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := joined(t, c.groups)
			for _, a := range c.tries {
				a.runner = func(s *site.Site) *fakerunner.Runner { return in(ns, s) }
				t.Run(a.name, a.try)
			}
		})
	}
}

// TestNumberIsNoGroup: getent would look a number up as an id.
func TestNumberIsNoGroup(t *testing.T) {
	attempts(t, []attempt{
		{name: "B8 a number among groups", change: auth("groups_allowlist", names{"1000"}), line: misconfigured},
		{name: "B8 a negative one", change: auth("groups_blocklist", names{"-1"}), line: misconfigured},
	})
}

// TestGroupsOfTwoSources: B8, one name with an id in each of two sources is both
// groups, as the members of either see it.
func TestGroupsOfTwoSources(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a namespace with a name service of its own")
	}
	t.Parallel()
	account := common(t).Account.Name
	ns := joined(t, "twice:x:200000:\n")
	testutil.Must(t, ns.Put("/etc/nsswitch.conf", "passwd: files\ngroup: extrausers files\nshadow: files\nhosts: files dns\n", 0o644))
	_, _, group, err := machineFiles()
	testutil.Must(t, err)
	testutil.Must(t, ns.Put("/etc/group", group+"twice:x:200001:"+account+"\n", 0o644))
	for _, a := range []attempt{
		{name: "B8 allowed", change: auth("groups_allowlist", names{"twice"})},
		{name: "B8 blocked", change: auth("groups_blocklist", names{"twice"}), rule: "groups_blocklist"},
	} {
		a.runner = func(s *site.Site) *fakerunner.Runner { return in(ns, s) }
		t.Run(a.name, a.try)
	}
}

// TestListsChangedDuringTheJob: every stage applies the current lists, though the name
// service was queried for former ones.
func TestListsChangedDuringTheJob(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a namespace with groups of its own")
	}
	t.Parallel()
	account := common(t).Account.Name
	ns := joined(t, lines(3000, 7)(account)+"other:x:190000:\n")
	for name, c := range map[string]struct {
		before, after func(*site.Site, site.Config)
		want          fakerunner.Outcome
	}{
		"B8 no list before":             {auth(), auth("groups_blocklist", names{"many7"}), fakerunner.ScriptFailure},
		"B8 another list before":        {auth("groups_blocklist", names{"other"}), auth("groups_blocklist", names{"other", "many7"}), fakerunner.ScriptFailure},
		"B8 still allowed":              {auth("groups_allowlist", names{"many7"}), auth("groups_allowlist", names{"other", "many8"}), fakerunner.Success},
		"B8 a list that is taken away":  {auth("groups_allowlist", names{"many7"}), auth(), fakerunner.Success},
		"B8 no longer allowed by users": {auth("user_allowlist", names{account}, "groups_allowlist", names{"other"}), auth("groups_allowlist", names{"other"}), fakerunner.ScriptFailure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t)
			reconfigure(t, s, c.before)
			r := in(ns, s)
			r.Hooks.Ended = func(call fakerunner.Call) {
				if call.Stage == "config" {
					reconfigure(t, s, c.after)
				}
			}
			if got := countGroups(t, s, r); got.Outcome != c.want {
				t.Errorf("the job ended as %s, want %s:\n%s", got.Outcome, c.want, output(got))
			}
		})
	}
}

// TestManyGroupsInState: B11, consecutive groups are looked up once a job, however many.
func TestManyGroupsInState(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a namespace with groups of its own")
	}
	t.Parallel()
	ns := joined(t, lines(most, 1)(common(t).Account.Name))
	s := newSibling(t)
	r := in(ns, s)
	r.Hooks.Ended = func(c fakerunner.Call) {
		if c.Stage == "config" {
			testutil.Must(t, stub(ns, "exit 1"))
		}
	}
	ran(t, s, r.Run(s.Job("id -un")), "")
}
