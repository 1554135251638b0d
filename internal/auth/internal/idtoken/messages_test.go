package idtoken

import (
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
)

// TestMessagesForAuthor: two mistakes of job authors have messages of their own;
// every other refusal has the general text.
func TestMessagesForAuthor(t *testing.T) {
	const second = time.Second
	site := soundRules()
	site.Advice = failure.Advice{Hint: "write this", Lines: []string{"id_tokens:"}}
	wrong := func(has string) string {
		return "the job's id_token has " + has + `, and this resource expects "` + siteAudience + `"`
	}
	ended := "the job's id_token has expired: it was valid until " + issued.Add(time.Hour).UTC().Format("2006-01-02 15:04:05 UTC")
	for _, c := range []struct {
		name       string
		claims     fields
		after      time.Duration
		line, hint string
	}{
		{"no audience", soundClaims().with("aud", absent), 0, wrong("no aud"), "write this"},
		{"another audience", soundClaims().with("aud", "vault"), 0, wrong(`the aud "vault"`), "write this"},
		{"other audiences", soundClaims().with("aud", []string{"vault", "x"}), 0, wrong(`the aud "vault, x"`), "write this"},
		{"a terminal's control characters", soundClaims().with("aud", "a\x1b[2J\n"), 0, wrong(`the aud "a\x1b[2J\n"`), "write this"},
		{"a long audience", soundClaims().with("aud", strings.Repeat("a", 200)), 0, wrong(`the aud "` + strings.Repeat("a", 64) + `…"`), "write this"},
		{"an audience that is none", soundClaims().with("aud", 7), 0, wrong("no aud"), "write this"},
		{"expired", soundClaims(), 2 * time.Hour, ended, "start the job again; a token is valid for the job's timeout, which may be too short for the job"},
		{"another issuer", soundClaims().with("iss", "x"), 0, "", ""},
		{"another job", soundClaims().with("job_id", "1"), 0, "", ""},
		{"of tomorrow", soundClaims(), -24 * time.Hour, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := verify(t, sign(t, soundHeader(), c.claims), site, soundExpected(), issued.Add(c.after+second))
			line, hint := failure.ForUser(err, false, "job 9")
			if c.line == "" {
				c.line, c.hint = "you are not allowed to run CI jobs on this resource", "ask its administrators, quoting job 9"
			}
			if line != c.line || hint != c.hint {
				t.Errorf("the author reads %q, %q\nwant %q, %q", line, hint, c.line, c.hint)
			}
			if lines := failure.LinesOf(err); (len(lines) == 1) != (c.hint == "write this") {
				t.Errorf("the lines to copy are %q", lines)
			}
			if full, _ := failure.ForUser(err, true, ""); !strings.HasPrefix(full, "token: ") || strings.Contains(full, "this resource expects") {
				t.Errorf("the operator reads %q", full)
			}
		})
	}
}

// TestAbsentToken names the variable and how to get the token.
func TestAbsentToken(t *testing.T) {
	err := Absent("SITE_ID_TOKEN", failure.Advice{Hint: "write this", Lines: []string{"id_tokens:"}})
	line, hint := failure.ForUser(err, false, "job 9")
	if rule, ok := RuleOf(err); !ok || rule != RuleAbsent || line != "the job has no id_token SITE_ID_TOKEN" || hint != "write this" || len(failure.LinesOf(err)) != 1 {
		t.Errorf("%q, %q, %v", line, hint, err)
	}
}
