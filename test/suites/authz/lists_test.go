package authz

import (
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
)

// auth sets keys of [auth], by pairs.
func auth(pairs ...any) func(*site.Site, site.Config) {
	return func(_ *site.Site, c site.Config) {
		for i := 0; i < len(pairs); i += 2 {
			c.Set("auth", pairs[i].(string), pairs[i+1])
		}
	}
}

type names = []string

// TestLists: B8, the order of the four lists: user allow, user block, group allow,
// group block; the first match decides, and with an allowlist no match denies.
func TestLists(t *testing.T) {
	const ua, ub, ga, gb = "user_allowlist", "user_blocklist", "groups_allowlist", "groups_blocklist"
	peopleAttempts(t, []attempt{
		{name: "B8 no list", job: by("member"), as: "member"},
		{name: "B8 user allowed", job: by("member"), change: auth(ua, names{"x", "member"}), as: "member"},
		{name: "B8 user not among the allowed", job: by("loner"), change: auth(ua, names{"member"}), rule: "no_allowlist_match"},
		{name: "B8 allowlist set and empty", job: by("member"), change: auth(ua, names{}), rule: "no_allowlist_match"},
		{name: "B8 user blocked", job: by("member"), change: auth(ub, names{"member"}), rule: "user_blocklist"},
		{name: "B8 another blocked", job: by("member"), change: auth(ub, names{"guest"}), as: "member"},
		{name: "B8 blocklist set and empty", job: by("member"), change: auth(ub, names{}), as: "member"},
		{name: "B8 user allowed and blocked", job: by("member"), change: auth(ua, names{"member"}, ub, names{"member"}), as: "member"},
		{name: "B8 group allowed", job: by("member"), change: auth(ga, names{"hpc"}), as: "member"},
		{name: "B8 group not among the allowed", job: by("guest"), change: auth(ga, names{"hpc"}), rule: "no_allowlist_match"},
		{name: "B8 group allowlist set and empty", job: by("member"), change: auth(ga, names{}), rule: "no_allowlist_match"},
		{name: "B8 group blocked", job: by("guest"), change: auth(gb, names{"guests"}), rule: "groups_blocklist"},
		{name: "B8 another group blocked", job: by("member"), change: auth(gb, names{"guests"}), as: "member"},
		{name: "B8 group allowed and another blocked", job: by("guest"), change: auth(ga, names{"ci-users"}, gb, names{"guests"}), as: "guest"},
		{name: "B8 user blocked, group allowed", job: by("member"), change: auth(ub, names{"member"}, ga, names{"hpc"}), rule: "user_blocklist"},
		{name: "B8 user allowed, group blocked", job: by("guest"), change: auth(ua, names{"guest"}, gb, names{"guests"}), as: "guest"},
		{name: "B8 user not allowed, group allowed", job: by("member"), change: auth(ua, names{"loner"}, ga, names{"hpc"}), as: "member"},
		{name: "B8 neither allowed, group blocked", job: by("guest"), change: auth(ua, names{"loner"}, gb, names{"guests"}), rule: "groups_blocklist"},
		{name: "B8 both allowlists empty", job: by("member"), change: auth(ua, names{}, ga, names{}), rule: "no_allowlist_match"},
		{name: "B8 primary group allowed", job: by("member"), change: auth(ga, names{"member-own"}), as: "member"},
		{name: "B8 primary group blocked", job: by("member"), change: auth(gb, names{"member-own"}), rule: "groups_blocklist"},
		{name: "B8 a group without a name where groups are blocked", job: by("unknowngid"), change: auth(gb, names{"guests"}), rule: "groups_blocklist"},
		{name: "B8 name in another case", job: by("member"), change: auth(ua, names{"Member"}), rule: "no_allowlist_match"},
		{name: "B8 blocked name in another case", job: by("member"), change: auth(ub, names{"MEMBER"}), as: "member"},
		{name: "B8 a part of the name", job: by("member"), change: auth(ua, names{"mem"}), rule: "no_allowlist_match"},
		{name: "B8 no patterns", job: by("member"), change: auth(ua, names{"m*"}), line: misconfigured},
		{name: "B8 a number is no name", job: by("member"), change: auth(ua, names{"20006"}), line: misconfigured},
		{name: "B8 unknown key", job: by("member"), change: auth("user_whitelist", names{"member"}), line: misconfigured},
		{name: "B8 list of the wrong type", job: by("member"), change: auth(ub, "member"), line: misconfigured},
	})
}

// in another project, from another source, of another ref.
func about(change func(*fakerunner.Job), claims func(gitlab.Claims) gitlab.Claims) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job {
		j := s.Job("id -un")
		if change != nil {
			change(&j)
		}
		c := s.GitLab.Claims(j, s.User)
		if claims != nil {
			c = claims(c)
		}
		return s.WithClaims(j, c)
	}
}

func project(path string) func(*site.Site) fakerunner.Job {
	return about(func(j *fakerunner.Job) { j.Project.FullPath = path }, nil)
}

// TestJobRules: B8, the rules on projects, sources and refs.
func TestJobRules(t *testing.T) {
	const pa, pb, ps = "project_allowlist", "project_blocklist", "pipeline_source_allowlist"
	source := func(name string) func(*site.Site) fakerunner.Job {
		return about(nil, func(c gitlab.Claims) gitlab.Claims { return c.With("pipeline_source", name) })
	}
	protected := about(func(j *fakerunner.Job) { j.Git.Protected = true }, nil)
	attempts(t, []attempt{
		{name: "B8 project allowed", job: project("hpc/solver"), change: auth(pa, names{"hpc/*"})},
		{name: "B8 project too deep", job: project("hpc/a/solver"), change: auth(pa, names{"hpc/*"}), rule: "project_allowlist"},
		{name: "B8 project at any depth", job: project("hpc/a/b/solver"), change: auth(pa, names{"hpc/**"})},
		{name: "B8 project with the same prefix", job: project("hpc-evil/solver"), change: auth(pa, names{"hpc/**"}), rule: "project_allowlist"},
		{name: "B8 project blocked", job: project("hpc/sandbox/x"), change: auth(pb, names{"**/sandbox/*"}), rule: "project_blocklist"},
		{name: "B8 project blocked in another case", job: project("hpc/Sandbox/x"), change: auth(pb, names{"hpc/sandbox/*"}), rule: "project_blocklist"},
		{name: "B8 project blocked and allowed", job: project("hpc/x"), change: auth(pa, names{"hpc/x"}, pb, names{"hpc/**"}), rule: "project_blocklist"},
		{name: "B8 project allowlist set and empty", job: project("hpc/x"), change: auth(pa, names{}), rule: "project_allowlist"},
		{name: "B8 a fork's project does not count", job: claimed(func(c gitlab.Claims) gitlab.Claims {
			return c.With("project_id", "99").With("project_path", "hpc/x")
		}), change: auth(pa, names{"hpc/*"}, "allow_fork_pipelines", true), rule: "project_allowlist"},
		{name: "B8 source allowed", job: source("schedule"), change: auth(ps, names{"push", "schedule"})},
		{name: "B8 source not allowed", job: source("trigger"), change: auth(ps, names{"push", "schedule"}), rule: ps},
		{name: "B8 source list set and empty", job: source("push"), change: auth(ps, names{}), rule: ps},
		{name: "B8 protected", job: protected, change: auth("protected_refs_only", true)},
		{name: "B8 not protected", change: auth("protected_refs_only", true), rule: "protected_refs_only"},
		{name: "B8 variable at the limit", job: func(s *site.Site) fakerunner.Job {
			return site.WithVariable(s.Job("id -un"), "LONG", pad(3000))
		}, change: auth("max_env_chars", 3000)},
		{name: "B8 variable over the limit", job: func(s *site.Site) fakerunner.Job {
			return site.WithVariable(s.Job("id -un"), "LONG", pad(3001))
		}, change: auth("max_env_chars", 3000), line: "ERROR: the CI variable LONG is 3001 bytes long"},
	})
}

func pad(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}

// mapped makes the site use an account map with that text.
func mapped(text string, more ...any) func(*site.Site, site.Config) {
	return func(s *site.Site, c site.Config) {
		file := filepath.Join(s.Dir, "accounts")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			panic(err)
		}
		auth(append([]any{"account_source", "map", "account_map", file}, more...)...)(s, c)
	}
}

// user is one with the number that the cases use.
func user(id int64, login string, identities ...[2]string) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job {
		return caused(s, gitlab.User{ID: id, Login: login, Email: "x@example.org", Identities: identities})
	}
}

// TestAccountSource: the account where logins cannot be trusted, and B7, bots.
func TestAccountSource(t *testing.T) {
	extern := auth("account_source", "extern_uid", "account_provider", "ldapmain")
	bots := auth("allow_bot_accounts", true)
	const bot = "project_12_bot_0a1b2c"
	peopleAttempts(t, []attempt{
		{name: "B8 map", job: user(501, "renamed"), change: mapped("501 carol\n"), as: "carol"},
		{name: "B8 map, no other user", job: user(502, "carol"), change: mapped("501 carol\n"), rule: "account_source"},
		{name: "B8 map, lists hold for the mapped", job: user(501, "renamed"), change: mapped("501 carol\n", "user_blocklist", names{"carol"}), rule: "user_blocklist"},
		{name: "B8 map, lists do not hold for the login", job: user(501, "blocked"), change: mapped("501 carol\n", "user_blocklist", names{"blocked"}), as: "carol"},
		{name: "B8 map to root", job: user(501, "x"), change: mapped("501 root\n"), rule: "root"},
		{name: "B8 map to nobody known", job: user(501, "x"), change: mapped("501 gone\n"), rule: "account_unknown"},
		{name: "B8 map is empty", job: user(501, "carol"), change: mapped(""), rule: "account_source"},
		{name: "B8 map with a fault", job: user(501, "x"), change: mapped("501 carol\n502\n"), line: misconfigured},
		{name: "B8 map with a user twice", job: user(501, "x"), change: mapped("501 carol\n501 root\n"), line: misconfigured},
		{name: "B8 map with a path", job: user(501, "x"), change: mapped("501 a/../root\n"), line: misconfigured},
		{name: "B8 map is not there", job: user(501, "x"), change: auth("account_source", "map", "account_map", "/nonexistent/accounts"), line: misconfigured},
		{name: "B8 map that others write", job: user(501, "x"), change: func(s *site.Site, c site.Config) {
			mapped("501 carol\n")(s, c)
			if err := os.Chmod(filepath.Join(s.Dir, "accounts"), 0o666); err != nil {
				panic(err)
			}
		}, line: misconfigured},
		{name: "B8 map of another owner", job: user(501, "x"), change: func(s *site.Site, c site.Config) {
			mapped("501 carol\n")(s, c)
			if err := os.Chown(filepath.Join(s.Dir, "accounts"), 4242, 4242); err != nil {
				panic(err)
			}
		}, line: misconfigured},
		{name: "B8 provider", job: user(503, "x", [2]string{"ldapmain", "carol"}), change: extern, as: "carol"},
		{name: "B8 provider, another one only", job: user(503, "carol", [2]string{"github", "carol"}), change: extern, rule: "account_source"},
		{name: "B8 provider, none", job: user(503, "carol"), change: extern, rule: "account_source"},
		{name: "B8 provider, two", job: user(503, "x", [2]string{"ldapmain", "carol"}, [2]string{"ldapmain", "svc"}), change: extern, rule: "account_source"},
		{name: "B8 provider, a distinguished name", job: user(503, "carol", [2]string{"ldapmain", "uid=carol,dc=site"}), change: extern, rule: "account_source"},

		{name: "B7 project bot", job: user(504, bot), rule: "bot_account"},
		{name: "B7 group bot", job: user(504, "group_3_bot"), rule: "bot_account"},
		{name: "B7 service account", job: user(504, "service_account_group_3_abc"), rule: "bot_account"},
		{name: "B7 ghost", job: user(504, "ghost"), rule: "bot_account"},
		{name: "B7 service account by its address", job: func(s *site.Site) fakerunner.Job {
			return caused(s, gitlab.User{ID: 504, Login: "carol", Email: "service_account_group_3_abc@noreply.gitlab.example"})
		}, rule: "bot_account"},
		{name: "B7 bots allowed, and none names the account", job: user(504, "service_account_carol"), change: bots, rule: "account_unknown"},
		{name: "B7 bot with the address of one, allowed, and none names the account", job: func(s *site.Site) fakerunner.Job {
			return caused(s, gitlab.User{ID: 504, Login: "carol", Email: "service_account_group_3_abc@noreply.gitlab.example"})
		}, change: bots, rule: "bot_account"},
		{name: "B7 bot in the map", job: user(504, bot), change: mapped("504 svc\n", "allow_bot_accounts", true), as: "svc"},
		{name: "B7 bot in the map, bots not allowed", job: user(504, bot), change: mapped("504 svc\n"), rule: "bot_account"},
	})
}
