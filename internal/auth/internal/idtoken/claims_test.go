package idtoken

import (
	"strings"
	"testing"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/job"
)

func TestH9OtherJobs(t *testing.T) {
	ours := func(r *Rules) { r.RunnerIDs = []job.ID{2, 3} }
	forks := func(r *Rules) { r.AllowForks = true }
	expect := func(change func(*claims.Expected)) claims.Expected {
		e := soundExpected()
		change(&e)
		return e
	}
	for _, c := range []struct {
		name     string
		claims   fields
		rules    func(*Rules)
		expected claims.Expected
		want     Rule
	}{
		{"H9 another job", soundClaims().with("job_id", "1002"), nil, soundExpected(), RuleJob},
		{"H9 the same token in two jobs", soundClaims(), nil, expect(func(e *claims.Expected) { e.JobID = 1002 }), RuleJob},
		{"H9 another project", soundClaims().with("job_project_id", "22").with("project_id", "22"), nil, soundExpected(), RuleProject},
		{"H9 another project, forks allowed", soundClaims().with("job_project_id", "22").with("project_id", "22"), forks, soundExpected(), RuleProject},
		{"H9 our project as the source only", soundClaims().with("job_project_id", "22"), forks, soundExpected(), RuleProject},
		{"H9 another project, before GitLab 18.3", oldGitLab(soundClaims()).with("project_id", "22"), nil, soundExpected(), RuleFork},
		{"no project known", soundClaims(), nil, expect(func(e *claims.Expected) { e.ProjectID = 0 }), RuleProject},
		{"no project known, before GitLab 18.3, forks allowed", oldGitLab(soundClaims()), forks, expect(func(e *claims.Expected) { e.ProjectID = 0 }), RuleProject},
		{"a fork", fork(), nil, soundExpected(), RuleFork},
		{"a fork, before GitLab 18.3", oldGitLab(fork()), nil, soundExpected(), RuleFork},
		{"H9 another pipeline", soundClaims().with("pipeline_id", "502"), nil, soundExpected(), RulePipeline},
		{"a pipeline the runner does not pass on", soundClaims().with("pipeline_id", "502"), nil, expect(func(e *claims.Expected) { e.PipelineID = 0 }), ""},
		{"H9 another user", soundClaims().with("user_id", "43"), nil, soundExpected(), RuleUser},
		{"a user the runner does not pass on", soundClaims().with("user_id", "43"), nil, expect(func(e *claims.Expected) { e.UserID = 0 }), ""},
		{"a composite identity", soundClaims(), nil, expect(func(e *claims.Expected) { e.ScopedUserID = 42 }), RuleComposite},
		{"one of our runners", soundClaims(), ours, soundExpected(), ""},
		{"H9 another site's runner", soundClaims().with("runner_id", 4), ours, soundExpected(), RuleRunner},
		{"H9 another site's runner, as text", soundClaims().with("runner_id", "4"), ours, soundExpected(), RuleRunner},
		{"H9 no runner named", soundClaims().with("runner_id", absent), ours, soundExpected(), RuleRunner},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := soundRules()
			if c.rules != nil {
				c.rules(&rules)
			}
			token := sign(t, soundHeader(), c.claims)
			_, err := verify(t, token, rules, c.expected, issued)
			if c.want != "" {
				wantRefusal(t, err, c.want, token)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestH10LoginToken is the token of a person who logged in at the same GitLab:
// same issuer, signed by a key of the same set, for an application whose id the
// attacker may have chosen.
func TestH10LoginToken(t *testing.T) {
	login := fields{
		"iss": siteIssuer, "aud": siteAudience, "sub": "42", "nickname": "alice", "jti": "x",
		"iat": issued.Unix(), "nbf": issued.Unix(), "exp": issued.Unix() + 120, "auth_time": issued.Unix(),
	}
	for _, c := range []struct {
		name   string
		claims fields
	}{
		{"H10 login token", login},
		{"H10 login token with a null job", login.with("job_id", nil)},
		{"H10 login token with all but a job", soundClaims().with("job_id", absent)},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := signBytes(t, marshal(t, soundHeader().with("kid", loginID)), marshal(t, c.claims), loginKey())
			_, err := verify(t, token, soundRules(), soundExpected(), issued)
			wantRefusal(t, err, RuleLogin, token)
		})
	}
}

func TestVerifyClaimTypes(t *testing.T) {
	old := oldGitLab(soundClaims())
	for _, c := range []struct {
		name   string
		claims fields
	}{
		{"jti absent", soundClaims().with("jti", absent)},
		{"jti empty", soundClaims().with("jti", "")},
		{"jti too long", soundClaims().with("jti", strings.Repeat("j", 256))},
		{"jti with a line end", soundClaims().with("jti", "a\nb")},
		{"job_id a number", soundClaims().with("job_id", 1001)},
		{"job_id a float", soundClaims().with("job_id", 1001.5)},
		{"job_id with a leading zero", soundClaims().with("job_id", "01001")},
		{"job_id with a blank", soundClaims().with("job_id", "1001 ")},
		{"job_id empty", soundClaims().with("job_id", "")},
		{"job_id negative", soundClaims().with("job_id", "-1001")},
		{"job_id zero", soundClaims().with("job_id", "0")},
		{"job_id a list", soundClaims().with("job_id", []string{"1001"})},
		{"project_id a number", soundClaims().with("project_id", 20)},
		{"project_id absent", soundClaims().with("project_id", absent)},
		{"project_path absent", old.with("project_path", absent)},
		{"project_path with a control character", soundClaims().with("project_path", "hpc/\x1b[2Jsolver")},
		{"job_project_id a number", soundClaims().with("job_project_id", 20)},
		{"job_project_path absent", soundClaims().with("job_project_path", absent)},
		{"job_namespace_id absent", soundClaims().with("job_namespace_id", absent)},
		{"job_namespace_path absent", soundClaims().with("job_namespace_path", absent)},
		{"namespace_id absent", old.with("namespace_id", absent)},
		{"namespace_path absent", old.with("namespace_path", absent)},
		{"pipeline_id absent", soundClaims().with("pipeline_id", absent)},
		{"pipeline_source absent", soundClaims().with("pipeline_source", absent)},
		{"user_id absent", soundClaims().with("user_id", absent)},
		{"user_id empty, as for a job without user", soundClaims().with("user_id", "")},
		{"user_login absent", soundClaims().with("user_login", absent)},
		{"user_login null, as for a job without user", soundClaims().with("user_login", nil)},
		{"user_login a number", soundClaims().with("user_login", 0)},
		{"user_login a list", soundClaims().with("user_login", []string{"alice"})},
		{"user_login too long", soundClaims().with("user_login", strings.Repeat("a", 256))},
		{"user_login with a line end", soundClaims().with("user_login", "alice\nroot")},
		{"user_login with a NUL", soundClaims().with("user_login", "root\x00")},
		{"user_login with a C1 control", soundClaims().with("user_login", "a\u009bb")},
		{"user_login with a line separator", soundClaims().with("user_login", "a\u2028b")},
		{"user_login with half a character", soundClaims().with("user_login", rawNumber(`"a\ud800"`))},
		{"user_email a number", soundClaims().with("user_email", 1)},
		{"user_email too long", soundClaims().with("user_email", strings.Repeat("e", 4097))},

		{"user_identities a text", soundClaims().with("user_identities", "ldap")},
		{"user_identities of texts", soundClaims().with("user_identities", []string{"ldap"})},
		{"user_identities without provider", soundClaims().with("user_identities", []fields{{"extern_uid": "a"}})},
		{"user_identities without id", soundClaims().with("user_identities", []fields{{"provider": "a"}})},
		{"user_identities with a number", soundClaims().with("user_identities", []fields{{"provider": "a", "extern_uid": 1}})},

		{"ref absent", soundClaims().with("ref", absent)},

		{"ref_protected absent", soundClaims().with("ref_protected", absent)},
		{"ref_protected in upper case", soundClaims().with("ref_protected", "True")},
		{"ref_protected a number", soundClaims().with("ref_protected", 1)},
		{"ref_protected a list", soundClaims().with("ref_protected", []bool{true})},
		{"runner_id a float", soundClaims().with("runner_id", rawNumber("3.0"))},
		{"runner_id with an exponent", soundClaims().with("runner_id", rawNumber("3e0"))},
		{"runner_id negative", soundClaims().with("runner_id", -3)},
		{"runner_id 2^63", soundClaims().with("runner_id", rawNumber("9223372036854775808"))},
		{"runner_id a boolean", soundClaims().with("runner_id", true)},
		{"runner_id a word", soundClaims().with("runner_id", "three")},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := sign(t, soundHeader(), c.claims)
			_, err := verify(t, token, soundRules(), soundExpected(), issued)
			wantRefusal(t, err, RuleClaims, token)
		})
	}
}
