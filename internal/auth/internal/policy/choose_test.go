package policy

import (
	"testing"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

func TestChoose(t *testing.T) {
	alice := claims.User{ID: 42, Login: "alice", Identities: []claims.External{
		{Provider: "ldapmain", ExternUID: "al"},
		{Provider: "saml", ExternUID: "uid=al,dc=site"},
		{Provider: "twice", ExternUID: "al"},
		{Provider: "twice", ExternUID: "bob"},
	}}
	bot := claims.User{ID: 99, Login: "project_7_bot_1f", Identities: []claims.External{{Provider: "ldapmain", ExternUID: "al"}}}
	accounts := map[job.ID]job.Username{42: testutil.Username(t, "al"), 99: testutil.Username(t, "svc")}
	for _, c := range []struct {
		name   string
		user   claims.User
		rules  Rules
		login  string
		bot    bool
		rule   Rule
		reason string
	}{
		{"login", alice, Rules{Source: settings.UserLogin}, "alice", false, AccountSource, "the user's name at GitLab is alice"},
		{
			"login, others configured", alice,
			Rules{Source: settings.UserLogin, Provider: "ldapmain", Map: accounts},
			"alice", false,
			AccountSource, "the user's name at GitLab is alice",
		},
		{
			"login is a number",
			claims.User{Login: "1000"},
			Rules{Source: settings.UserLogin},
			"", false,
			AccountSource, `the user's name at GitLab: the account name "1000" is a number`,
		},
		{
			"login empty",
			claims.User{},
			Rules{Source: settings.UserLogin},
			"", false,
			AccountSource, "the user's name at GitLab: the account name is empty",
		},
		{
			"login with a slash",
			claims.User{Login: "a/../root"},
			Rules{Source: settings.UserLogin},
			"", false,
			AccountSource, `the user's name at GitLab: the account name "a/../root" has a character that account names do not have`,
		},
		{
			"external", alice,
			Rules{Source: settings.ExternUID, Provider: "ldapmain"},
			"al", false,
			AccountSource, "the user's identity at the provider ldapmain is al",
		},
		{
			"external, not a name", alice,
			Rules{Source: settings.ExternUID, Provider: "saml"},
			"", false,
			AccountSource, `the user's identity at the provider saml: the account name "uid=al,dc=site" has a character that account names do not have`,
		},
		{
			"external, unknown", alice,
			Rules{Source: settings.ExternUID, Provider: "kerberos"},
			"", false,
			AccountSource, `"alice" has not exactly one identity at the provider "kerberos"`,
		},
		{
			"external, twice", alice,
			Rules{Source: settings.ExternUID, Provider: "twice"},
			"", false,
			AccountSource, `"alice" has not exactly one identity at the provider "twice"`,
		},
		{"map", alice, Rules{Source: settings.Map, Map: accounts}, "al", false, AccountSource, "the account map assigns al to user 42"},
		{
			"map without the user",
			claims.User{ID: 43, Login: "alice"},
			Rules{Source: settings.Map, Map: accounts},
			"", false,
			AccountSource, `the account map has no entry for user 43 ("alice")`,
		},
		{"no map", alice, Rules{Source: settings.Map}, "", false, AccountSource, `the account map has no entry for user 42 ("alice")`},
		{"no source", alice, Rules{Map: accounts}, "", false, AccountSource, `"" is not an account source`},
		{"unknown source", alice, Rules{Source: "guess"}, "", false, AccountSource, `"guess" is not an account source`},
		{"bot", bot, Rules{Source: settings.UserLogin}, "", false, BotAccount, `"project_7_bot_1f" is a bot or service account of GitLab`},
		{"bot in the map", bot, Rules{Source: settings.Map, Map: accounts}, "", false, BotAccount, `"project_7_bot_1f" is a bot or service account of GitLab`},
		{
			"accepted bot", bot,
			Rules{Source: settings.UserLogin, AllowBots: true},
			"project_7_bot_1f", true,
			BotAccount, `"project_7_bot_1f" is a bot or service account of GitLab, which allow_bot_accounts accepts`,
		},
		{
			"accepted bot with an identity", bot,
			Rules{Source: settings.ExternUID, Provider: "ldapmain", AllowBots: true},
			"al", true,
			AccountSource, "the user's identity at the provider ldapmain is al",
		},
		{
			"accepted bot in the map", bot,
			Rules{Source: settings.Map, Map: accounts, AllowBots: true},
			"svc", false,
			AccountSource, "the account map assigns svc to user 99",
		},
		{
			"accepted bot, not in the map", bot,
			Rules{Source: settings.Map, AllowBots: true},
			"", false,
			AccountSource, `the account map has no entry for user 99 ("project_7_bot_1f")`,
		},
		{
			"person where bots are accepted", alice,
			Rules{Source: settings.UserLogin, AllowBots: true},
			"alice", false,
			BotAccount, `"alice" is not a bot or service account of GitLab`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, d := Choose(claims.Identity{User: c.user}, c.rules)
			if got.Login().String() != c.login || got.bot != c.bot {
				t.Errorf("candidate %q bot %v, want %q bot %v", got.Login(), got.bot, c.login, c.bot)
			}
			if s := stepOf(t, d, c.rule); s.Reason != c.reason {
				t.Errorf("reason %q\nwant   %q", s.Reason, c.reason)
			}
			if refused := c.login == ""; refused == d.Allowed || refused != (failure.KindOf(d.Err()) == failure.Denied) {
				t.Errorf("decision %+v", d)
			}
			if !d.Allowed && d.Rule != c.rule {
				t.Errorf("decided by %s", d.Rule)
			}
			if len(d.Steps) != 2 {
				t.Errorf("steps %+v", d.Steps)
			}
		})
	}
}

func TestCandidateAfterRunAs(t *testing.T) {
	svc := testutil.Username(t, "svc")
	for _, c := range []struct {
		name string
		got  Candidate
		want Candidate
	}{
		{"person, target accepted", Candidate{login: testutil.Username(t, "alice")}.Accepted(svc), Candidate{login: svc}},
		{"person, account named", Candidate{login: testutil.Username(t, "alice")}.Named(svc), Candidate{login: svc}},
		{"bot, target accepted", Candidate{login: testutil.Username(t, "b"), bot: true}.Accepted(svc), Candidate{login: svc, bot: true}},
		{"bot, account named", Candidate{login: testutil.Username(t, "b"), bot: true}.Named(svc), Candidate{login: svc}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("got %+v, want %+v", c.got, c.want)
			}
		})
	}
}

// TestBotNameGrantsNothing follows a bot from the claims to the decision.
func TestBotNameGrantsNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		as   func(Candidate) Candidate
		want bool
	}{
		{"no RunAs", func(c Candidate) Candidate { return c }, false},
		{"RunAs accepts the bot's name", func(c Candidate) Candidate { return c.Accepted(c.Login()) }, false},
		{"RunAs accepts the wanted account", func(c Candidate) Candidate { return c.Accepted(testutil.Username(t, "alice")) }, false},
		{"RunAs names the account", func(c Candidate) Candidate { return c.Named(testutil.Username(t, "alice")) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := good(t)
			m.id.User = claims.User{ID: 99, Login: "service_account_ab"}
			m.rules.AllowBots = true
			chosen, d := Choose(m.id, m.rules)
			if !d.Allowed {
				t.Fatalf("decision %+v", d)
			}
			m.candidate = c.as(chosen)
			m.facts.Account.Name, m.facts.Owner = m.candidate.Login(), m.candidate.Login()
			g, d := m.decide()
			if _, ok := g.Account(); ok != c.want || d.Allowed != c.want {
				t.Errorf("granted %v, decision %+v", ok, d)
			}
			if !c.want && d.Rule != BotAccount {
				t.Errorf("decided by %s", d.Rule)
			}
		})
	}
}
