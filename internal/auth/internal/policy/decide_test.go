package policy

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
	"jacamar-ci/test/harness/testutil"
)

func TestDecideGrants(t *testing.T) {
	m := good(t)
	g, d := m.decide()
	if a, ok := g.Account(); !ok || !reflect.DeepEqual(a, m.facts.Account) {
		t.Errorf("account %v, %v", a, ok)
	}
	want := []Step{
		{BotAccount, OK, "the account was not chosen by a bot's name"},
		{AccountName, OK, "the account is alice"},
		{Root, OK, "neither the user nor the primary group is root"},
		{Nobody, OK, "neither the user nor the primary group is nobody"},
		{UIDRange, OK, "user id 1001, primary group 2001"},
		{MinUID, OK, "user id 1001 is not under 1000"},
		{ServiceAccount, OK, "the service account of the runner has user id 998"},
		{DuplicateUID, OK, "user id 1001 is that of alice only"},
		{RequireShadow, Skipped, "not set"},
		{Locked, OK, "the account is not locked"},
		{Expired, OK, "the account is not expired"},
		{NologinShell, OK, "the login shell is /bin/bash"},
		{ShellAllow, OK, "/bin/bash is in /etc/shells"},
		{EnforceNologin, Skipped, "not set"},
		{PipelineSource, Skipped, "not set"},
		{ProjectBlock, Skipped, "not set"},
		{ProjectAllow, Skipped, "not set"},
		{ProtectedRefs, Skipped, "not set"},
		{UserAllow, Skipped, "not set"},
		{UserBlock, Skipped, "not set"},
		{GroupAllow, Skipped, "not set"},
		{GroupBlock, Skipped, "not set"},
	}
	if !reflect.DeepEqual(d, Decision{Allowed: true, Rule: Default, Reason: "no rule refuses the job", Steps: want}) {
		t.Errorf("decision %+v", d)
	}
	if d.Err() != nil {
		t.Errorf("error %v", d.Err())
	}
}

func TestDecideRules(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m *input)
		rule   Rule // whose step is checked; the rule that decides when denied
		want   Outcome
		reason string
	}{
		{
			"unmapped bot", func(m *input) { m.candidate.bot = true },
			BotAccount, Deny, `neither the account map nor the RunAs script names an account for the bot "alice"`,
		},
		{"nothing chosen", func(m *input) { m.candidate = Candidate{} }, AccountName, Deny, "no account was chosen"},
		{
			"nothing chosen, nothing found", func(m *input) { m.candidate, m.facts.Account.Name = Candidate{}, job.Username{} },
			AccountName, Deny, "no account was chosen",
		},
		{
			"another account", func(m *input) { m.candidate.login = testutil.Username(t, "bob") },
			AccountName, Deny, `the account "alice" is not the one that was chosen, bob`,
		},
		{
			"another case", func(m *input) { m.candidate.login = testutil.Username(t, "Alice") },
			AccountName, Deny, `the account "alice" is not the one that was chosen, Alice`,
		},
		{"root", func(m *input) { m.facts.Account.UID, m.rules.MinUID = 0, 0 }, Root, Deny, "alice has user id 0"},
		{"root's group", func(m *input) { m.facts.Account.GID = 0 }, Root, Deny, "the primary group of alice is group 0"},
		{
			"root's group as a further one", func(m *input) { m.facts.Account.Groups = job.GIDs{0, 2001} },
			Root, OK, "neither the user nor the primary group is root",
		},
		{"nobody", func(m *input) { m.facts.Account.UID = 65534 }, Nobody, Deny, "alice has the user id of nobody"},
		{"nogroup", func(m *input) { m.facts.Account.GID = 65534 }, Nobody, Deny, "the primary group of alice is that of nobody"},
		{
			"next to nobody", func(m *input) { m.facts.Account.UID, m.facts.Account.GID = 65533, 65533 },
			Nobody, OK, "neither the user nor the primary group is nobody",
		},
		{
			"uid -1", func(m *input) { m.facts.Account.UID = math.MaxUint32 },
			UIDRange, Deny, "alice has the id 4294967295, which some interfaces read as another number",
		},
		{
			"uid 2^31", func(m *input) { m.facts.Account.UID = 1 << 31 },
			UIDRange, Deny, "alice has the id 2147483648, which some interfaces read as another number",
		},
		{
			"uid 2^31-1", func(m *input) { m.facts.Account.UID = math.MaxInt32 },
			UIDRange, OK, "user id 2147483647, primary group 2001",
		},
		{
			"uid 65535", func(m *input) { m.facts.Account.UID = 65535 },
			UIDRange, Deny, "alice has the id 65535, which some interfaces read as another number",
		},
		{
			"gid -1", func(m *input) { m.facts.Account.GID = math.MaxUint32 },
			UIDRange, Deny, "alice has the id 4294967295, which some interfaces read as another number",
		},
		{
			"gid 65535", func(m *input) { m.facts.Account.GID = 65535 },
			UIDRange, Deny, "alice has the id 65535, which some interfaces read as another number",
		},
		{"uid 65536", func(m *input) { m.facts.Account.UID = 65536 }, UIDRange, OK, "user id 65536, primary group 2001"},
		{"under the minimum", func(m *input) { m.facts.Account.UID = 999 }, MinUID, Deny, "alice has user id 999, under 1000"},
		{"the minimum", func(m *input) { m.facts.Account.UID = 1000 }, MinUID, OK, "user id 1000 is not under 1000"},
		{"a lower minimum", func(m *input) { m.facts.Account.UID, m.rules.MinUID = 500, 500 }, MinUID, OK, "user id 500 is not under 500"},
		{
			"the runner's account", func(m *input) { m.facts.Service = 1001 },
			ServiceAccount, Deny, "alice is the service account of the runner",
		},
		{
			"alias", func(m *input) { m.facts.Owner = testutil.Username(t, "bob") },
			DuplicateUID, Deny, `user id 1001 belongs to "bob" as well as to alice`,
		},
		{
			"owner not asked", func(m *input) { m.facts.Owner = job.Username{} },
			DuplicateUID, Deny, `user id 1001 belongs to "" as well as to alice`,
		},
		{"locked", func(m *input) { m.facts.Aging.Locked = true }, Locked, Deny, "the account alice is locked"},
		{"lock not known", func(m *input) { m.facts.Aging = passwd.Aging{Locked: true} }, Locked, Skipped, "cannot read the shadow entry"},
		{"shadow entry required and read", func(m *input) { m.rules.RequireShadow = true }, RequireShadow, OK, "the shadow entry of alice was read"},
		{
			"shadow entry required", func(m *input) { m.rules.RequireShadow, m.facts.Aging = true, passwd.Aging{} },
			RequireShadow, Deny, "cannot read the shadow entry of alice, so that it may be locked or expired",
		},
		{"expired", func(m *input) { m.facts.Aging.Expired = true }, Expired, Deny, "the account alice is expired"},
		{"expiry not known", func(m *input) { m.facts.Aging = passwd.Aging{Expired: true} }, Expired, Skipped, "cannot read the shadow entry"},
		{
			"shell nologin", func(m *input) { m.facts.Account.Shell = testutil.AbsPath(t, "/usr/sbin/nologin") },
			NologinShell, Deny, "the login shell of alice is /usr/sbin/nologin",
		},
		{"shell false, allowed twice", func(m *input) {
			m.facts.Account.Shell = testutil.AbsPath(t, "/bin/false")
			m.facts.Shells = []job.AbsPath{m.facts.Account.Shell}
			m.rules.ShellAllow = allow("/bin/false")
		}, NologinShell, Deny, "the login shell of alice is /bin/false"},
		{"shell with a longer name", func(m *input) {
			m.facts.Account.Shell = testutil.AbsPath(t, "/opt/falsehood")
			m.facts.Shells = []job.AbsPath{m.facts.Account.Shell}
		}, NologinShell, OK, "the login shell is /opt/falsehood"},
		{
			"shell unknown to the machine", func(m *input) { m.facts.Account.Shell = testutil.AbsPath(t, "/opt/shell") },
			ShellAllow, Deny, "the list is not set and /opt/shell is not in /etc/shells",
		},
		{"shell listed, unknown to the machine", func(m *input) {
			m.facts.Account.Shell = testutil.AbsPath(t, "/opt/shell")
			m.rules.ShellAllow = allow("/bin/sh", "/opt/shell")
		}, ShellAllow, OK, "/opt/shell is in the list"},
		{
			"shell not listed", func(m *input) { m.rules.ShellAllow = allow("/bin/sh") },
			ShellAllow, Deny, "/bin/bash is not in the list",
		},
		{
			"empty shell list", func(m *input) { m.rules.ShellAllow = allow() },
			ShellAllow, Deny, "/bin/bash is not in the list",
		},
		{
			"shell list not set", func(m *input) { m.rules.ShellAllow = List[string]{Entries: []string{"/bin/zsh"}} },
			ShellAllow, OK, "/bin/bash is in /etc/shells",
		},
		{
			"logins off", func(m *input) { m.rules.Nologin, m.facts.LoginsOff = true, true },
			EnforceNologin, Deny, "/etc/nologin or /run/nologin disables logins",
		},
		{"logins off, not enforced", func(m *input) { m.facts.LoginsOff = true }, EnforceNologin, Skipped, "not set"},
		{"logins on", func(m *input) { m.rules.Nologin = true }, EnforceNologin, OK, "logins are not disabled"},
		{
			"pipeline source listed", func(m *input) { m.rules.PipelineSource = allow("web", "push") },
			PipelineSource, OK, `"push" is in the list`,
		},
		{
			"pipeline source not listed", func(m *input) { m.rules.PipelineSource = allow("web") },
			PipelineSource, Deny, `"push" is not in the list`,
		},
		{
			"empty pipeline source list", func(m *input) { m.rules.PipelineSource = allow() },
			PipelineSource, Deny, `"push" is not in the list`,
		},
		{
			"project blocked", func(m *input) { m.rules.ProjectBlock = globs(t, "x/y", "hpc/*") },
			ProjectBlock, Deny, `"hpc/solver" matches "hpc/*"`,
		},
		{
			"project not blocked", func(m *input) { m.rules.ProjectBlock = globs(t, "x/y") },
			ProjectBlock, OK, `"hpc/solver" matches no entry`,
		},
		{"project blocked and allowed", func(m *input) {
			m.rules.ProjectBlock = globs(t, "**/solver")
			m.rules.ProjectAllow = List[glob.Pattern]{true, globs(t, "hpc/**")}
		}, ProjectBlock, Deny, `"hpc/solver" matches "**/solver"`},
		{
			"project allowed", func(m *input) { m.rules.ProjectAllow = List[glob.Pattern]{true, globs(t, "x/y", "hpc/**")} },
			ProjectAllow, OK, `"hpc/solver" matches "hpc/**"`,
		},
		{
			"project not allowed", func(m *input) { m.rules.ProjectAllow = List[glob.Pattern]{true, globs(t, "x/y")} },
			ProjectAllow, Deny, `"hpc/solver" matches no entry`,
		},
		{
			"empty project list", func(m *input) { m.rules.ProjectAllow = List[glob.Pattern]{Set: true} },
			ProjectAllow, Deny, `"hpc/solver" matches no entry`,
		},
		{
			"protected ref", func(m *input) { m.rules.ProtectedRefs, m.id.Ref.Protected = true, true },
			ProtectedRefs, OK, `"main" is protected`,
		},
		{"unprotected ref", func(m *input) { m.rules.ProtectedRefs = true }, ProtectedRefs, Deny, `"main" is not protected`},
		{"protected ref, not asked for", func(m *input) { m.id.Ref.Protected = true }, ProtectedRefs, Skipped, "not set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := good(t)
			c.change(&m)
			g, d := m.decide()
			if got, want := stepOf(t, d, c.rule), (Step{c.rule, c.want, c.reason}); got != want {
				t.Errorf("step %+v\nwant %+v", got, want)
			}
			_, granted := g.Account()
			if denied := c.want == Deny; denied == granted || denied == d.Allowed {
				t.Errorf("granted %v, decision %+v", granted, d)
			}
			if c.want == Deny && (d.Rule != c.rule || d.Reason != c.reason) {
				t.Errorf("decided by %s: %s", d.Rule, d.Reason)
			}
		})
	}
}

func TestRunAsService(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m *input)
		want   Rule
		reason string
	}{
		{
			"the account of the job's user is the service account", func(m *input) { m.facts.Service = 1001 },
			Default, "downscope is none: jobs of alice run as the service account alice",
		},
		{
			"job of another user", func(m *input) { m.facts.Service, m.candidate.login = 1001, testutil.Username(t, "bob") },
			Default, "downscope is none: jobs of bob run as the service account alice",
		},
		{"another account", func(*input) {}, AccountName, "downscope is none: the job would run with user id 998, not as alice"},
		{"root", func(m *input) { m.facts.Service, m.facts.Account.UID = 0, 0 }, Root, "alice has user id 0"},
		{"under the minimum", func(m *input) { m.facts.Service, m.facts.Account.UID = 998, 998 }, MinUID, "alice has user id 998, under 1000"},
		{"the lists look at the job's user", func(m *input) {
			m.facts.Service, m.candidate.login = 1001, testutil.Username(t, "bob")
			m.rules.UserAllow = allow("alice")
		}, NoMatch, `"bob" is in no allowlist`},
		{"the job's user is in a list", func(m *input) {
			m.facts.Service, m.candidate.login = 1001, testutil.Username(t, "bob")
			m.rules.UserAllow = allow("bob")
		}, UserAllow, `"bob" is in the list`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := good(t)
			m.rules.RunAsService = true
			c.change(&m)
			g, d := m.decide()
			if d.Rule != c.want {
				t.Errorf("decided by %s: %s", d.Rule, d.Reason)
			}
			rule := c.want
			if rule == Default {
				rule = AccountName
			}
			if got := stepOf(t, d, rule).Reason; got != c.reason {
				t.Errorf("reason %q, want %q", got, c.reason)
			}
			if _, granted := g.Account(); granted != d.Allowed || granted != (c.want == Default || c.want == UserAllow) {
				t.Errorf("granted %v, allowed %v", granted, d.Allowed)
			}
			if s := stepOf(t, d, ServiceAccount); s != (Step{ServiceAccount, Skipped, "downscope is none"}) {
				t.Errorf("step %+v", s)
			}
		})
	}
}

// TestDecideService: what is refused for the account alone is refused by the same rule for
// every job, and every rule about the account is among them.
func TestDecideService(t *testing.T) {
	seen := map[Rule]bool{}
	for name, change := range map[string]func(m *input){
		"usual":          func(*input) {},
		"root":           func(m *input) { m.facts.Account.UID = 0 },
		"root's group":   func(m *input) { m.facts.Account.GID = 0 },
		"nobody":         func(m *input) { m.facts.Account.UID = job.Nobody },
		"a large id":     func(m *input) { m.facts.Account.GID = 1 << 31 },
		"a system one":   func(m *input) { m.facts.Account.UID = 998 },
		"locked":         func(m *input) { m.facts.Aging.Locked = true },
		"expired":        func(m *input) { m.facts.Aging.Expired = true },
		"not known":      func(m *input) { m.facts.Aging = passwd.Aging{Locked: true, Expired: true} },
		"no login":       func(m *input) { m.facts.Account.Shell = testutil.AbsPath(t, "/sbin/nologin") },
		"another shell":  func(m *input) { m.facts.Account.Shell = testutil.AbsPath(t, "/opt/bash") },
		"a listed shell": func(m *input) { m.rules.ShellAllow = allow("/bin/bash") },
	} {
		m := good(t)
		m.rules.RunAsService = true
		change(&m)
		m.facts.Service = m.facts.Account.UID
		_, all := m.decide()
		own := DecideService(m.facts, m.rules)
		if own.Allowed != all.Allowed || own.Rule != all.Rule || own.Reason != all.Reason {
			t.Errorf("%s: %+v, and for a job %+v", name, own, all)
		}
		seen[own.Rule] = true
	}
	for _, r := range []Rule{Default, Root, Nobody, UIDRange, MinUID, Locked, Expired, NologinShell, ShellAllow} {
		if !seen[r] {
			t.Errorf("no account is decided by %s", r)
		}
	}
}

func TestFirstRefusalDecides(t *testing.T) {
	m := good(t)
	m.facts.Account.UID, m.facts.Aging.Locked, m.rules.UserBlock = 999, true, []string{"alice"}
	_, d := m.decide()
	if d.Rule != MinUID {
		t.Errorf("decided by %s", d.Rule)
	}
	for _, r := range []Rule{MinUID, Locked, UserBlock} {
		if s := stepOf(t, d, r); s.Outcome != Deny {
			t.Errorf("step %+v", s)
		}
	}
}

func TestZeroValuesGrantNothing(t *testing.T) {
	if a, ok := (Grant{}).Account(); ok || !reflect.DeepEqual(a, job.Account{}) {
		t.Errorf("the zero grant has the account %v", a)
	}
	if g, d := Decide(claims.Identity{}, Candidate{}, Facts{}, Rules{}); d.Allowed || g != (Grant{}) {
		t.Errorf("nothing at all was granted: %+v", d)
	}
	if d := conclude(nil); d.Allowed {
		t.Error("a walk without steps allows")
	}
	if (Decision{}).Err() == nil {
		t.Error("the zero decision allows")
	}
}

func TestGrantIsACopy(t *testing.T) {
	m := good(t)
	g, _ := m.decide()
	a, _ := g.Account()
	a.UID = 0
	if b, _ := g.Account(); b.UID != 1001 {
		t.Errorf("the grant's user id became %d", b.UID)
	}
}

func TestDecisionAsAnError(t *testing.T) {
	m := good(t)
	m.rules.UserBlock = []string{"alice"}
	_, d := m.decide()
	err := d.Err()
	if err == nil || err.Error() != `user_blocklist: "alice" is in the list` {
		t.Fatalf("error %v", err)
	}
	if k := failure.KindOf(err); k != failure.Denied {
		t.Errorf("kind %s", k)
	}
	if line, _ := failure.ForUser(err, false, "job 1"); line != "you are not allowed to run CI jobs on this resource" {
		t.Errorf("the user reads %q", line)
	}
}

func TestDecisionAsARecord(t *testing.T) {
	got, err := json.Marshal(conclude([]Step{deny(MinUID, "why")}))
	want := `{"allowed":false,"rule":"min_uid","reason":"why","steps":[{"rule":"min_uid","outcome":"deny","reason":"why"}]}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}

// TestCleanupIsGrantedByTheFacts: what the site wants has no say in the cleanup of a
// job that it granted; what protects the machine and this service has.
func TestCleanupIsGrantedByTheFacts(t *testing.T) {
	refused := errors.New("user_blocklist: alice")
	for name, tt := range map[string]struct {
		change func(*input)
		denied Rule
	}{
		"granted":         {func(*input) {}, ""},
		"under min_uid":   {func(m *input) { m.rules.MinUID = 5000 }, ""},
		"blocked":         {func(m *input) { m.rules.UserBlock = []string{"alice"} }, ""},
		"no account":      {func(m *input) { m.facts.Account = job.Account{} }, AccountName},
		"root":            {func(m *input) { m.facts.Account.UID = 0 }, Root},
		"nobody":          {func(m *input) { m.facts.Account.UID = 65534 }, Nobody},
		"odd id":          {func(m *input) { m.facts.Account.GID = 1 << 31 }, UIDRange},
		"the service":     {func(m *input) { m.facts.Service = 1001 }, ServiceAccount},
		"the helper":      {func(m *input) { m.rules.Helper = m.facts.Account.Name }, ServiceAccount},
		"not the service": {func(m *input) { m.rules.RunAsService = true }, AccountName},
	} {
		t.Run(name, func(t *testing.T) {
			m := good(t)
			tt.change(&m)
			grant, d := DecideCleanup(m.facts, m.rules, refused)
			if account, ok := grant.Account(); ok != (tt.denied == "") || ok && account.Name != m.facts.Account.Name {
				t.Errorf("granted %v, %v", account, ok)
			}
			switch {
			case tt.denied != "" && (d.Allowed || d.Rule != tt.denied):
				t.Errorf("decided %+v", d)
			case tt.denied == "" && (d.Rule != Cleanup || !strings.Contains(d.Reason, "user_blocklist: alice")):
				t.Errorf("decided %+v", d)
			}
		})
	}
}
