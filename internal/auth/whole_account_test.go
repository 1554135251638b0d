package auth

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// getent puts a script before the machine's getent, and writes down its queries.
func (p *place) getent(script string) {
	p.t.Helper()
	real, err := os.ReadFile("/usr/bin/getent")
	testutil.Must(p.t, err)
	p.program("getent.real", string(real))
	p.write("asked", "")
	testutil.Must(p.t, os.Chmod(p.path("asked"), 0o666))
	p.program("getent", fmt.Sprintf("#!/bin/sh\necho \"$*\" >> %[1]s/asked\n%[2]s\nexec %[1]s/getent.real \"$@\"\n", p.dir, script))
}

// asked returns the queries since the last call that begin with one of the words.
func (p *place) asked(words ...string) (all []string) {
	p.t.Helper()
	text, err := os.ReadFile(p.path("asked"))
	testutil.Must(p.t, err, os.Truncate(p.path("asked"), 0))
	for line := range strings.Lines(string(text)) {
		for _, word := range words {
			if strings.HasPrefix(line, word) {
				all = append(all, strings.TrimSpace(line))
			}
		}
	}
	return all
}

// with sets keys of the configuration.
func with(pairs ...string) func(*place) {
	return func(p *place) {
		for i := 0; i < len(pairs); i += 2 {
			p.config[pairs[i]] = pairs[i+1]
		}
		p.configure()
	}
}

func fails(query string) string { return fmt.Sprintf(`case "$*" in %q*) exit 9;; esac`, query) }

// manyGroups makes alice a member of so many groups, whose ids are not consecutive.
func manyGroups(n int) func(*place) {
	return func(p *place) {
		text := groupFile
		for i := range n {
			text += fmt.Sprintf("g%d:x:%d:alice\n", i, 20000+2*i)
		}
		p.write("group", text)
	}
}

// TestGroupQueries: groups are queried where a list of groups can decide, and the names of all
// groups of an account where the listed ones alone decide nothing.
func TestGroupQueries(t *testing.T) {
	const allow, block = "auth.groups_allowlist", "auth.groups_blocklist"
	none := deployments["none"]
	login := func(name string) func(*place) { return func(p *place) { p.claims["user_login"] = name; p.respond() } }
	do := func(all ...func(*place)) func(*place) {
		return func(p *place) {
			for _, f := range all {
				f(p)
			}
		}
	}
	for name, tt := range map[string]struct {
		deploy func(*place)
		change func(*place)
		getent string
		asked  string // of groups
		rule   string // that refuses, "" for none
		reason string // why it fails, "" where it does not
	}{
		"no lists":                        {deployments["root"], with(), "", "", "", ""},
		"a list of users decides":         {deployments["root"], with("auth.user_allowlist", `["alice"]`, allow, `["ci"]`), "", "", "", ""},
		"listed":                          {deployments["root"], with(allow, `["ci"]`), "", "group -- ci", "", ""},
		"blocked":                         {deployments["root"], with(block, `["ci"]`), "", "group -- ci", string(policy.GroupBlock), "ci"},
		"by its name":                     {deployments["root"], with(allow, `["dup"]`), "", "group -- dup; group -- 5001 6000 6002", "", ""},
		"not listed":                      {deployments["root"], with(allow, `["carol"]`), "", "group -- carol; group -- 5001 6000 6002", string(policy.NoMatch), "in no allowlist"},
		"not blocked":                     {deployments["root"], with(block, `["carol"]`), "", "group -- carol; group -- 5001 6000 6002", "", ""},
		"too many groups for names":       {deployments["root"], do(with(allow, `["carol"]`), manyGroups(1100)), "", "group -- carol", string(policy.NoMatch), "in no allowlist"},
		"the list cannot be queried":      {deployments["root"], with(allow, `["ci"]`), fails("group -- ci"), "group -- ci", "", "cannot look up groups"},
		"names cannot be queried":         {deployments["root"], with(allow, `["carol"]`), fails("group -- 5001"), "group -- carol; group -- 5001 6000 6002", "", "cannot look up groups"},
		"the account cannot be queried":   {deployments["root"], with(), fails("passwd -- alice"), "", "", "cannot look up the account alice"},
		"none, the login is no account":   {none, login("nosuch"), "", "", "", ""},
		"none, it is not listed":          {none, do(login("nosuch"), with(allow, `["ci"]`)), "", "", string(policy.NoMatch), "in no allowlist"},
		"none, it is listed":              {none, with(allow, `["ci"]`), "", "group -- ci", "", ""},
		"none, it cannot be queried":      {none, with(), fails("passwd -- alice"), "", "", "cannot look up the account alice"},
		"none, nor the service":           {none, with(), fails("passwd -- svc"), "", "", "cannot look up the account svc"},
		"no list of shells":               {deployments["root"], func(p *place) { p.write("shells", strings.Repeat("#\n", 40_000)) }, "", "", "", "cannot read the list of login shells"},
		"no list of shells, with another": {deployments["root"], do(func(p *place) { p.write("shells", strings.Repeat("#\n", 40_000)) }, with("auth.shell_allowlist", `["/bin/bash"]`)), "", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, tt.deploy)
			p.getent(tt.getent)
			tt.change(p)
			o := p.run(job.Config)
			rule, reason := p.refusal(0)
			if (o.status == 0) != (tt.reason == "") || rule != tt.rule || !strings.Contains(reason, tt.reason) || (reason == "") != (tt.reason == "") {
				t.Errorf("status %d, refused by %q: %q, want %q: %q", o.status, rule, reason, tt.rule, tt.reason)
			}
			if got := strings.Join(p.asked("group"), "; "); got != tt.asked {
				t.Errorf("it has queried %q, want %q", got, tt.asked)
			}
		})
	}
}

// TestLaterQueries: a later stage queries only what the state does not have: groups that did
// not fit, and lists that have changed.
func TestLaterQueries(t *testing.T) {
	const allow = "auth.groups_allowlist"
	none := deployments["none"]
	for name, tt := range map[string]struct {
		before func(*place)
		change func(*place)
		asked  string
		rule   string
		reason string
	}{
		"nothing":                   {deployments["root"], with(), "", "", ""},
		"nothing, none":             {none, with(), "", "", ""},
		"lists as before":           {func(p *place) { p.config[allow] = `["ci"]` }, with(), "", "", ""},
		"a new list":                {deployments["root"], with(allow, `["ci"]`), "group -- ci", "", ""},
		"another list":              {func(p *place) { p.config[allow] = `["ci"]` }, with(allow, `["carol"]`), "group -- carol; group -- 5001 6000 6002", string(policy.NoMatch), "in no allowlist"},
		"a new list, none":          {none, with(allow, `["ci"]`), "passwd -- alice; group -- ci", "", ""},
		"a new list of users, none": {none, with("auth.user_allowlist", `["alice"]`, allow, `["ci"]`), "", "", ""},
		"an account that is no more": {none, func(p *place) {
			with(allow, `["ci"]`)(p)
			p.write("passwd", strings.Replace(passwdFile, "alice", "bob", 1))
		}, "passwd -- alice", string(policy.NoMatch), "in no allowlist"},
		"a failing query, none": {none, func(p *place) { with(allow, `["ci"]`)(p); p.getent(fails("passwd")) }, "passwd -- alice", "", "cannot look up the account alice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, tt.before)
			p.getent("")
			p.wantSuccess(job.Config)
			p.asked()
			tt.change(p)
			o := p.run(job.Prepare)
			rule, reason := p.refusal(0)
			if (o.status == 0) != (tt.reason == "") || rule != tt.rule || !strings.Contains(reason, tt.reason) {
				t.Errorf("status %d, refused by %q: %q, want %q: %q", o.status, rule, reason, tt.rule, tt.reason)
			}
			if got := strings.Join(p.asked("passwd", "group", "shadow"), "; "); got != tt.asked {
				t.Errorf("it has queried %q, want %q", got, tt.asked)
			}
		})
	}
}

// TestGroupsThatDoNotFit: a later stage queries the groups that the state cannot carry.
func TestGroupsThatDoNotFit(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.getent("")
	manyGroups(3000)(p)
	p.wantSuccess(job.Config)
	p.asked()
	p.wantSuccess(job.Prepare)
	if got := p.asked("initgroups", "group"); len(got) != 1 || len(p.wantSent(job.Prepare).Request.Account.Groups) != 3003 {
		t.Errorf("%q, %d groups", got, len(p.wantSent(job.Prepare).Request.Account.Groups))
	}
	with("auth.groups_allowlist", `["ci"]`)(p)
	p.wantSuccess(job.Prepare)
	p.getent(fails("initgroups"))
	if o := p.run(job.Prepare); o.status != systemFailed {
		t.Errorf("without them: %+v", o)
	}
}

// TestAccountOfTheConfigStage: later stages run as the account that the config stage found.
func TestAccountOfTheConfigStage(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wantSuccess(job.Config)
	p.write("passwd", strings.Replace(passwdFile, "/home/alice", "/elsewhere", 1))
	p.wantSuccess(job.Prepare)
	if home := p.wantSent(job.Prepare).Request.Account.Home.String(); home != "/home/alice" {
		t.Errorf("its home is %s", home)
	}
}

// TestCleanupOfARefusedJob: what the config stage has granted is cleaned up although the rules
// refuse the job now, unless the account has become another's.
func TestCleanupOfARefusedJob(t *testing.T) {
	for name, tt := range map[string]struct {
		passwd func(string) string
		status int
	}{
		"the same account":    {func(s string) string { return s }, 0},
		"an account removed":  {func(s string) string { return strings.Replace(s, "alice", "bob", 2) }, buildFailed},
		"an account replaced": {func(s string) string { return strings.Replace(s, "5001", "5009", 1) }, buildFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.wantSuccess(job.Config)
			with("auth.user_blocklist", `["alice"]`)(p)
			if o := p.run(job.Prepare); o.status != buildFailed {
				t.Errorf("prepare: %+v", o)
			}
			p.write("passwd", tt.passwd(passwdFile))
			o := p.run(job.Cleanup)
			if _, ran := p.sent(job.Cleanup); o.status != tt.status || ran != (tt.status == 0) {
				t.Errorf("%+v, jacamar has run: %v", o, ran)
			}
			if rule, _ := p.refusal(0); rule != string(policy.UserBlock) {
				t.Errorf("refused by %q", rule)
			}
		})
	}
}

// TestRunAs: the site's script is called in the config stage only; what it accepts applies to
// all stages.
func TestRunAs(t *testing.T) {
	script := func(text string) func(*place) {
		return func(p *place) {
			p.write("called", "")
			testutil.Must(p.t, os.Chmod(p.path("called"), 0o666))
			p.program("runas", "#!/bin/sh\necho \"$*\" >> "+p.path("called")+"\n"+text+"\n")
			p.config["auth.runas.validation_script"], p.config["auth.runas.user_variable"] = quoted(p.path("runas")), `"TARGET"`
			p.configure()
		}
	}
	target := func(name string, f func(*place)) func(*place) {
		return func(p *place) { f(p); p.env = []string{"CUSTOM_ENV_TARGET=" + name} }
	}
	also := func(f func(*place), pairs ...string) func(*place) { return func(p *place) { f(p); with(pairs...)(p) } }
	names := script(`echo '{"username":"carol","data_dir":"/scratch/c","user_message":"as carol"}'`)
	for name, tt := range map[string]struct {
		change  func(*place)
		getent  string
		account string // "" where it refuses
		called  string
		rule    string
	}{
		"accepted":                  {script(""), "", "alice", "alice\n", ""},
		"named":                     {names, "", "carol", "alice\n", ""},
		"a target":                  {target("carol", script("")), "", "carol", "carol alice\n", ""},
		"a target that is none":     {target("-", script("")), "", "", "", RuleRunAs},
		"refused":                   {script("exit 1"), "", "", "alice\n", RuleRunAs},
		"the account is judged":     {also(names, "auth.user_blocklist", `["carol"]`), "", "", "alice\n", string(policy.UserBlock)},
		"lists after it":            {also(names, "auth.groups_allowlist", `["carol"]`), fails("passwd -- alice"), "carol", "alice\n", ""},
		"lists before it":           {also(names, "auth.groups_allowlist", `["carol"]`, "auth.lists_pre_validation", "true"), "", "", "", string(policy.NoMatch)},
		"lists before it, accepted": {also(names, "auth.groups_allowlist", `["carol", "ci"]`, "auth.lists_pre_validation", "true"), "", "carol", "alice\n", ""},
		"a query before it fails":   {also(names, "auth.groups_allowlist", `["carol", "ci"]`, "auth.lists_pre_validation", "true"), fails("passwd -- alice"), "", "", ""},
		"no account before it":      {func(p *place) { names(p); p.claims["user_login"] = "nosuch"; p.respond() }, "", "carol", "nosuch\n", ""},
		"no account, lists before": {func(p *place) {
			also(names, "auth.groups_allowlist", `["carol"]`, "auth.lists_pre_validation", "true")(p)
			p.claims["user_login"] = "nosuch"
			p.respond()
		}, "", "", "", string(policy.NoMatch)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.getent(tt.getent)
			tt.change(p)
			for _, stage := range []job.Stage{job.Config, job.Prepare} {
				o := p.run(stage)
				s, ran := p.sent(stage)
				rule, _ := p.refusal(0)
				if ran != (tt.account != "") || (o.status == 0) != ran || s.Request.Account.Name.String() != tt.account || rule != tt.rule {
					t.Fatalf("%s: %+v as %q, refused by %q", stage, o, s.Request.Account.Name, rule)
				}
				if s := s.Request.Settings; tt.account == "carol" && tt.called == "alice\n" && (s.DataDir != "/scratch/c" || s.Message != "as carol") {
					t.Errorf("%+v", s)
				}
				if text, err := os.ReadFile(p.path("called")); err != nil || string(text) != tt.called {
					t.Errorf("the script was called with %q, want %q (%v)", text, tt.called, err)
				}
				if !ran {
					return
				}
			}
		})
	}
}

// TestRunAsSince: a script that was configured after the config stage has accepted nothing.
func TestRunAsSince(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wantSuccess(job.Config)
	p.program("runas", "#!/bin/sh\n")
	with("auth.runas.validation_script", quoted(p.path("runas")))(p)
	p.run(job.Prepare)
	if rule, reason := p.refusal(0); rule != RuleRunAs || !strings.Contains(reason, "after the job's config stage") {
		t.Errorf("%q, %q", rule, reason)
	}
}
