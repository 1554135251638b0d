package claims

import (
	"testing"

	"jacamar-ci/internal/job"
)

func TestFork(t *testing.T) {
	for _, c := range []struct {
		name            string
		project, source job.ID
		want            bool
	}{
		{"the project's own pipeline", 20, 20, false},
		{"a fork's merge request", 20, 21, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := Identity{Project: Project{ID: c.project}, Source: Project{ID: c.source}}
			if got := id.Fork(); got != c.want {
				t.Errorf("Fork() = %v, want %v", got, c.want)
			}
		})
	}
}

func TestExternal(t *testing.T) {
	u := User{Identities: []External{
		{"ldapmain", "uid=alice,dc=site"},
		{"group_saml", "a@one"},
		{"github", "77"},
		{"group_saml", "a@two"},
		{"group_saml", "a@three"},
	}}
	for _, c := range []struct {
		name, provider, want string
		ok                   bool
	}{
		{"first", "ldapmain", "uid=alice,dc=site", true},
		{"later", "github", "77", true},
		{"unknown provider", "ldap", "", false},
		{"case differs", "LDAPmain", "", false},
		{"several accounts at one provider", "group_saml", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := u.External(c.provider)
			if got != c.want || ok != c.ok {
				t.Errorf("External(%q) = %q, %v; want %q, %v", c.provider, got, ok, c.want, c.ok)
			}
		})
	}
}

func TestBot(t *testing.T) {
	for _, c := range []struct {
		name, login, email string
		want               bool
	}{
		{"person", "alice", "alice@site.example", false},
		{"person without address", "alice", "", false},
		{"person named after a project", "project_x_bot", "", false},
		{"person whose name ends in bot", "talbot", "", false},
		{"project without number", "project__bot", "", false},
		{"number without bot", "project_12_robot", "", false},
		{"number first", "12_bot", "", false},
		{"person at the company", "gitlab-fan", "", false},
		{"person whose name starts so", "gitlabduoist", "", false},
		{"name holds a bot's name", "myproject_1_bot", "", false},
		{"name holds ghost", "ghostwriter", "", false},
		{"name holds a reserved one", "not-alert-bot-at-all", "", false},
		{"project access token, old", "project_12_bot", "", true},
		{"project access token, second", "project_12_bot1", "", true},
		{"project access token, new", "project_12_bot_0a1b2c", "", true},
		{"project access token, shouted", "Project_12_BOT_0A", "", true},
		{"group access token", "group_7_bot_ff00", "", true},
		{"service account", "service_account_00ff", "", true},
		{"service account of a group", "service_account_group_12_00ff", "", true},
		{"ghost", "ghost", "", true},
		{"second ghost", "ghost1", "", true},
		{"alert bot", "alert-bot", "", true},
		{"support bot", "support-bot2", "", true},
		{"automation bot", "automation-bot", "", true},
		{"security bot", "GitLab-Security-Bot", "", true},
		{"migration bot", "migration-bot1", "", true},
		{"review bot", "visual-review-bot", "", true},
		{"duo", "GitLabDuo", "", true},
		{"policy bot", "gitlab-security-policy-project-bot", "", true},
		{"service account with a chosen name", "alice", "service_account_ab12@noreply.gitlab.site.example", true},
		{"project bot with a chosen name", "alice", "project_4_bot_ab@noreply.gitlab.site.example", true},
		{"person with such a word in the domain", "alice", "a@service_account.example", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := User{Login: c.login, Email: c.email}
			if got := u.Bot(); got != c.want {
				t.Errorf("Bot() of %q %q = %v, want %v", c.login, c.email, got, c.want)
			}
		})
	}
}
