package authz

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// withResponse changes the job response of the runner, and not its token.
func withResponse(change func(*fakerunner.Job)) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job {
		j := s.Job("id -un")
		change(&j)
		return j
	}
}

// fork are the claims of a merge request pipeline with a fork's code.
func fork(c gitlab.Claims) gitlab.Claims {
	return c.With("project_id", "99").With("project_path", "mallory/project").With("namespace_id", "98").With("namespace_path", "mallory")
}

// before183 leaves out the claims on the job's own project that GitLab has since 18.3.
func before183(c gitlab.Claims) gitlab.Claims {
	return c.Without("job_project_id", "job_project_path", "job_namespace_id", "job_namespace_path")
}

func forksAllowed(_ *site.Site, c site.Config) { c.Set("auth", "allow_fork_pipelines", true) }

func runnerIDs(ids ...int) func(*site.Site, site.Config) {
	return func(_ *site.Site, c site.Config) { c.Set("auth", "runner_ids", ids) }
}

// TestBinding: H9 and H10, a token is valid for the one job that GitLab assigned to this
// runner.
func TestBinding(t *testing.T) {
	all := []attempt{
		{name: "H9 another job", job: with("job_id", "1"), rule: "token: job"},
		{name: "H9 job_id as a number", job: with("job_id", 1), rule: "token: claims"},
		{name: "H9 job_id with a zero before", job: claimed(func(c gitlab.Claims) gitlab.Claims { return c.With("job_id", "0"+c["job_id"].(string)) }), rule: "token: claims"},
		{name: "H9 job_id with a plus", job: claimed(func(c gitlab.Claims) gitlab.Claims { return c.With("job_id", "+"+c["job_id"].(string)) }), rule: "token: claims"},
		{name: "H9 job_id negative", job: with("job_id", "-1"), rule: "token: claims"},
		{name: "H9 job_id empty", job: with("job_id", ""), rule: "token: claims"},
		{name: "H9 job_id over 2^63", job: with("job_id", "9223372036854775808"), rule: "token: claims"},
		{name: "H9 job_id a list", job: claimed(func(c gitlab.Claims) gitlab.Claims { return c.With("job_id", []any{c["job_id"], "1"}) }), rule: "token: claims"},
		{name: "H9 another project", job: with("job_project_id", "13"), rule: "token: project"},
		{name: "H9 another pipeline", job: with("pipeline_id", "13"), rule: "token: pipeline"},
		{name: "H9 another user", job: with("user_id", "13"), rule: "token: user"},
		{name: "H9 user_id as a number", job: with("user_id", 7), rule: "token: claims"},
		{name: "H9 user_id absent", job: without("user_id"), rule: "token: claims"},
		{name: "H9 user_login absent", job: without("user_login"), rule: "token: claims"},
		{name: "H9 pipeline_source absent", job: without("pipeline_source"), rule: "token: claims"},
		{name: "H9 ref_protected is neither", job: with("ref_protected", "yes"), rule: "token: claims"},
		{name: "H9 another runner", change: runnerIDs(1, 2, 3), rule: "token: runner"},
		{name: "H9 one of this site's runners", change: runnerIDs(1, gitlab.RunnerID)},
		{name: "H9 runner_id as text", change: runnerIDs(gitlab.RunnerID), job: with("runner_id", strconv.Itoa(gitlab.RunnerID))},
		{name: "H9 runner_id absent where runners are listed", change: runnerIDs(gitlab.RunnerID), job: without("runner_id"), rule: "token: runner"},
		{name: "H9 runner_id is a float", job: with("runner_id", 77.5), rule: "token: claims"},
		{name: "H9 the response has another job", job: withResponse(func(j *fakerunner.Job) { j.ID++ }), rule: "token: job"},
		{name: "H9 the response has another project", job: withResponse(func(j *fakerunner.Job) { j.Project.ID++ }), rule: "token: project"},
		{name: "H9 the response has another pipeline", job: withResponse(func(j *fakerunner.Job) { j.PipelineID++ }), rule: "token: pipeline"},
		{name: "H9 the response has another user", job: withResponse(func(j *fakerunner.Job) { j.UserID++ }), rule: "token: user"},
		{name: "H9 an old runner passes no user and no pipeline", job: withResponse(func(j *fakerunner.Job) { j.UserID, j.PipelineID = 0, 0 })},
		{name: "H9 composite identity", job: withResponse(func(j *fakerunner.Job) { j.ScopedUserID = 5 }), rule: "token: composite identity"},
		{name: "H9 the response has no project", job: withResponse(func(j *fakerunner.Job) { j.Project.ID = 0 }), line: failed},
		{name: "H9 the response has no job", job: withResponse(func(j *fakerunner.Job) { j.ID = 0 }), line: failed},

		{name: "H9 fork", job: claimed(fork), rule: "token: fork"},
		{name: "H9 fork before GitLab 18.3", job: claimed(func(c gitlab.Claims) gitlab.Claims { return before183(fork(c)) }), rule: "token: fork"},
		{name: "H9 fork, allowed", job: claimed(fork), change: forksAllowed},
		{name: "H9 fork before GitLab 18.3, allowed", job: claimed(func(c gitlab.Claims) gitlab.Claims { return before183(fork(c)) }), change: forksAllowed},
		{name: "H9 no fork before GitLab 18.3", job: claimed(before183)},
		{name: "H9 fork of another job's project, allowed", job: claimed(func(c gitlab.Claims) gitlab.Claims { return fork(c).With("job_project_id", "13") }), change: forksAllowed, rule: "token: project"},
		{name: "H9 half of the job's project", job: without("job_project_path"), rule: "token: claims"},

		{name: "H10 login token", job: loginToken(func(c gitlab.Claims) gitlab.Claims { return c }), rule: "token: claims"},
		{name: "H10 login token with an id", job: loginToken(func(c gitlab.Claims) gitlab.Claims { return c.With("jti", "x") }), rule: "token: login token"},
		{name: "H10 login token with a null job", job: loginToken(func(c gitlab.Claims) gitlab.Claims { return c.With("jti", "x").With("job_id", nil) }), rule: "token: login token"},
	}
	attempts(t, all)
}

// loginToken is the token that the same GitLab signs for a person's login, with the
// other key of its set.
func loginToken(change func(gitlab.Claims) gitlab.Claims) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job {
		key := s.GitLab.Login
		return site.WithToken(s.Job("id -un"), gitlab.Sign(key.Header(), change(s.GitLab.LoginClaims(s.User)), gitlab.RS256(key)))
	}
}

// waiting starts a job that stays in its script until the test is over.
func waiting(t *testing.T, s *site.Site) fakerunner.Job {
	t.Helper()
	j := s.Job("echo up", "sleep 1000")
	e := s.Runner().Start(j)
	t.Cleanup(func() {
		e.Abort()
		e.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := e.AwaitOutput(ctx, "build_script", "up\n"); err != nil {
		t.Fatal(err)
	}
	return j
}

// token is the genuine one of a job.
func token(j fakerunner.Job) string { return j.Variables[0].Value }

// TestStolenToken: H9, the token of another job that is running, with every
// variable that a job's author can set.
func TestStolenToken(t *testing.T) {
	s := newSibling(t)
	victim := waiting(t, s)
	id := strconv.FormatInt(victim.ID, 10)
	dress := func(j fakerunner.Job) fakerunner.Job {
		for key, value := range map[string]string{
			"CI_JOB_ID": id, "CI_PROJECT_ID": "12", "CI_PIPELINE_ID": "4200", "GITLAB_USER_ID": "7", "GITLAB_USER_LOGIN": s.User.Login,
			"JOB_RESPONSE_FILE": "/dev/null", "JACAMAR_CI_STATE": "{}", "CI_SERVER_URL": "https://evil.example", "CI_JOB_JWT": token(victim),
		} {
			j = site.WithVariable(j, key, value)
		}
		return j
	}
	for _, a := range []attempt{
		{name: "H9 instead of the thief's own, CI_JOB_ID overridden", job: func(s *site.Site) fakerunner.Job {
			return dress(site.WithToken(s.Job("id -un"), token(victim)))
		}, rule: "token: job"},
		{name: "H9 by a project variable, the job has no token of its own", job: func(s *site.Site) fakerunner.Job {
			return site.WithVariable(dress(site.WithToken(s.Job("id -un"), "")), site.TokenVariable, token(victim))
		}, rule: "token: job"},
		{name: "H9 by a job token only", job: func(s *site.Site) fakerunner.Job {
			return site.WithToken(s.Job("id -un"), "glcbt-64_"+strings.Repeat("x", 20))
		}, rule: "token: form"},
	} {
		t.Run(a.name, a.try)
	}
}

// TestOverriddenToken: H9, a project variable of the token's name comes after
// GitLab's own entry. The job runs as its own user.
func TestOverriddenToken(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the attacker has another account")
	}
	s := newSibling(t)
	victim := waiting(t, s)
	thief := gitlab.User{ID: 8, Login: s.Accounts.Bob, Email: "bob@example.org"}
	j := s.Job("id -un")
	j.UserID = thief.ID
	j = s.WithClaims(j, s.GitLab.Claims(j, thief))
	j = site.WithVariable(site.WithVariable(j, site.TokenVariable, token(victim)), "CI_JOB_ID", strconv.FormatInt(victim.ID, 10))
	other := newSibling(t)
	ran(t, other, other.Runner().Run(j), thief.Login)
	for _, r := range events(t, other, "decision") {
		if r.Login != thief.Login || r.Account != thief.Login || r.Job != j.ID {
			t.Errorf("recorded as %+v", r)
		}
	}
}

// TestFinishedJob: H9, the token of a job that is over.
func TestFinishedJob(t *testing.T) {
	t.Parallel()
	s := newSibling(t)
	first := s.Job("id -un")
	ran(t, s, s.Runner().Run(first), "")
	attempt{job: func(s *site.Site) fakerunner.Job {
		return site.WithToken(s.Job("id -un"), token(first))
	}, rule: "token: job"}.try(t)
}

// TestExpiryBetweenStages: H8, the token expires while the job runs. It was issued 58 of
// the 60 seconds ago that clocks may differ.
func TestExpiryBetweenStages(t *testing.T) {
	t.Parallel()
	late := func(s *site.Site) fakerunner.Job {
		now := time.Now().Unix()
		j := s.Job("id -un")
		j.Raw = map[string][]byte{"prepare_script": []byte("sleep 4\n")}
		return s.WithClaims(j, s.GitLab.Claims(j, s.User).With("iat", now-3600).With("nbf", now-3605).With("exp", now-58))
	}
	for name, tc := range map[string]struct {
		delay string
		want  fakerunner.Outcome
	}{"H8 no grace": {"0s", fakerunner.ScriptFailure}, "H8 the site's grace": {"1h", fakerunner.Success}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t, func(c site.Config) { c.Set("general", "jwt_exp_delay", tc.delay) })
			r := s.Runner().Run(late(s))
			if r.Outcome != tc.want {
				t.Errorf("the job ended as %s:\n%s", r.Outcome, output(r))
			}
			if clean, _ := r.Call("cleanup"); clean.Status != 0 {
				t.Errorf("cleanup ended with %d: %s", clean.Status, clean.Stderr)
			}
			if tc.want == fakerunner.Success {
				return
			}
			last := events(t, s, "decision")
			if d := last[len(last)-2]; d.Stage != "run" || d.Rule != "token: expired" {
				t.Errorf("recorded %+v", d)
			}
			if d := last[len(last)-1]; d.Stage != "cleanup" || d.Decision != "allow" {
				t.Errorf("recorded %+v", d)
			}
		})
	}
}

// TestTokenExchanged: H8 and H9, a later stage that shows another token than the
// config stage, also a valid one of the same job.
func TestTokenExchanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*site.Site, fakerunner.Job) string{
		"H9 another token of the same job": func(s *site.Site, j fakerunner.Job) string { return s.GitLab.Token(s.GitLab.Claims(j, s.User)) },
		"H9 another user's": func(s *site.Site, j fakerunner.Job) string {
			return s.GitLab.Token(s.GitLab.Claims(j, gitlab.User{ID: s.User.ID, Login: "root", Email: "root@example.org"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t)
			j := s.Job("id -un")
			r := s.Runner()
			r.Judge = nil // cleanup is refused as well
			var dir string
			r.Hooks.TempDir = func(d string) { dir = d }
			r.Hooks.Ended = func(c fakerunner.Call) {
				if c.Stage == "config" {
					exchange(t, filepath.Join(dir, "response.json"), change(s, j))
				}
			}
			result := r.Run(j)
			if result.Outcome != fakerunner.ScriptFailure {
				t.Errorf("the job ended as %s:\n%s", result.Outcome, output(result))
			}
			for _, d := range events(t, s, "decision") {
				if d.Stage != "config" && (d.Decision != "deny" || d.Rule != "token: same token") {
					t.Errorf("recorded %+v", d)
				}
			}
		})
	}
}

// exchange puts another token into a job response.
func exchange(t *testing.T, file, token string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
		return
	}
	var response map[string]any
	if err := json.Unmarshal(text, &response); err != nil {
		t.Error(err)
		return
	}
	for _, v := range response["variables"].([]any) {
		if variable := v.(map[string]any); variable["key"] == site.TokenVariable {
			variable["value"] = token
		}
	}
	if text, err = json.Marshal(response); err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestResponseFile: the job response must be the runner's own file.
func TestResponseFile(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, file string){
		"H9 response gone":     func(t *testing.T, file string) { testutil.Must(t, os.Remove(file)) },
		"H9 response is empty": func(t *testing.T, file string) { testutil.Must(t, os.Truncate(file, 0)) },
		"H9 response is a link": func(t *testing.T, file string) {
			testutil.Must(t, os.Rename(file, file+".real"))
			testutil.Must(t, os.Symlink(file+".real", file))
		},
		"H9 response written by others": func(t *testing.T, file string) { testutil.Must(t, os.Chmod(file, 0o666)) },
		"H9 response is a directory": func(t *testing.T, file string) {
			testutil.Must(t, os.Remove(file))
			testutil.Must(t, os.Mkdir(file, 0o700))
		},
		"H9 response names the job twice": func(t *testing.T, file string) {
			text, err := os.ReadFile(file)
			testutil.Must(t, err)
			testutil.Must(t, os.WriteFile(file, []byte(`{"id":1,`+string(text[1:])), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t)
			r := s.Runner()
			r.Hooks.TempDir = func(dir string) { spoil(t, filepath.Join(dir, "response.json")) }
			attempt{line: failed}.judge(t, s, r.Run(s.Job("id -un")))
		})
	}
}
