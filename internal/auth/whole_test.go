package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/test/harness/standin"
	"jacamar-ci/test/harness/testutil"
)

// The deployments of a place.
var deployments = map[string]func(*place){
	"root":              func(*place) {},
	"file capabilities": func(p *place) { p.service, p.capable = svcUID, true },
	"none": func(p *place) {
		p.service, p.config["auth.downscope"] = svcUID, `"none"`
	},
}

// TestWholeJob: each stage runs as the account that the job was granted and gets what the
// stages before have left; the journal has the job until its cleanup.
func TestWholeJob(t *testing.T) {
	for name, deploy := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, deploy)
			uid := aliceUID
			if name == "none" {
				uid = svcUID
			}
			for _, stage := range []job.Stage{job.Config, job.Prepare, job.Run, job.Cleanup} {
				p.wantSuccess(stage)
				s := p.wantSent(stage)
				if r := s.Request; s.UID != uid || int(r.Account.UID) != uid || r.Job.Owner.PID != os.Getpid() || r.Ghost || r.MayRun ||
					(r.Dirs.Scripts == p.abs("base/scripts/runner/7")) == (stage == job.Config) ||
					(s.Script == "echo hello\n") != (stage == job.Run) || (r.LiveJobs == 1) != (stage == job.Run) || (r.Measure == measureLimit) != (stage == job.Cleanup) {
					t.Errorf("%s as uid %d: %+v", stage, s.UID, r)
				}
				if lives := len(p.lives()); (lives == 0) != (stage == job.Cleanup) {
					t.Errorf("%d live jobs after %s", lives, stage)
				}
			}
			p.wantRecords("decision allow default", "stage_end ok", "decision allow default", "stage_end ok", "decision allow default", "stage_end ok",
				"decision allow default", "job_end ok", "stage_end ok")
		})
	}
}

func (p *place) wantSuccess(stage job.Stage) {
	p.t.Helper()
	if o := p.run(stage); o.status != 0 || o.errs != "" {
		p.t.Fatalf("%s ended with %d: %s%s\nthe log has %v", stage, o.status, o.out, o.errs, p.records())
	}
}

func (p *place) wantSent(stage job.Stage) standin.Sent {
	p.t.Helper()
	s, ok := p.sent(stage)
	if !ok {
		p.t.Fatalf("jacamar has not run in %s", stage)
	}
	return s
}

// wantRecords compares the log without the results of single rules.
func (p *place) wantRecords(want ...string) {
	p.t.Helper()
	var got []string
	for _, r := range p.records() {
		var words []string
		for _, field := range []string{"event", "decision", "rule", "exit"} {
			if text, ok := r[field].(string); ok && (field != "rule" || r["event"] == "decision") {
				words = append(words, text)
			}
		}
		if r["event"] != "rule" {
			got = append(got, strings.Join(words, " "))
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		p.t.Errorf("the log has\n%s\nand not\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestStageRefused: whatever keeps a stage from running does so before jacamar is started, and
// the operator reads the reason of that step.
func TestStageRefused(t *testing.T) {
	set := func(key, value string) func(*place) { return func(p *place) { p.config[key] = value } }
	mapped := func(text string) func(*place) {
		return func(p *place) {
			p.config["auth.account_source"], p.config["auth.account_map"] = `"map"`, quoted(p.path("map"))
			if text != "" {
				p.write("map", text)
			}
		}
	}
	for name, tt := range map[string]struct {
		before func(*place) // the stages before
		stage  job.Stage
		change func(*place)
		status int
		rule   string // of the decision, "" for none
		reason string // part of the reason in the log, "" where there is no log
	}{
		"no configuration":      {nil, job.Config, func(p *place) { p.config = map[string]string{"general.executor": "what"} }, systemFailed, "", ""},
		"a wrong environment":   {nil, job.Config, func(p *place) { p.env = []string{"BUILD_EXIT_CODE_FILE=relative"} }, systemFailed, "", "cannot use the runner's BUILD_EXIT_CODE_FILE"},
		"no helper account":     {deployments["file capabilities"], job.Config, set("auth.helper_account", `"nosuch"`), systemFailed, "", ""},
		"no script":             {nil, job.Run, func(p *place) { os.Remove(p.path("script")) }, systemFailed, "", "cannot read the script"},
		"a damaged state":       {nil, job.Prepare, func(p *place) { p.state = "damaged" }, systemFailed, "", ""},
		"the state of another":  {nil, job.Prepare, func(p *place) { p.job.ID, p.claims["job_id"] = 8, "8" }, systemFailed, RuleState, "job"},
		"no seal":               {nil, job.Prepare, func(p *place) { p.removeState("*seal*") }, systemFailed, RuleState, "was replaced"},
		"no token":              {nil, job.Config, func(p *place) { p.claims = nil }, buildFailed, string(idtoken.RuleAbsent), "SITE_ID_TOKEN"},
		"a token that is none":  {nil, job.Config, func(p *place) { p.claims, p.env = nil, []string{"CUSTOM_ENV_SITE_ID_TOKEN=abc"} }, buildFailed, string(idtoken.RuleForm), ""},
		"a token for elsewhere": {nil, job.Config, func(p *place) { p.claims["aud"] = "https://elsewhere.example.org" }, buildFailed, string(idtoken.RuleAudience), ""},
		"an unknown account":    {nil, job.Config, func(p *place) { p.claims["user_login"] = "nosuch" }, systemFailed, RuleUnknown, "nosuch"},
		"a bot":                 {nil, job.Config, func(p *place) { p.claims["user_login"] = "project_12_bot_x" }, buildFailed, string(policy.BotAccount), "a bot"},
		"a blocked user":        {nil, job.Config, set("auth.user_blocklist", `["alice"]`), buildFailed, string(policy.UserBlock), "alice"},
		"blocked since":         {nil, job.Prepare, set("auth.user_blocklist", `["alice"]`), buildFailed, string(policy.UserBlock), "alice"},
		"no account map":        {nil, job.Config, mapped(""), systemFailed, "", "cannot use the account map: "},
		"a damaged account map": {nil, job.Config, mapped("what?"), systemFailed, "", "cannot use the account map /srv"},
		"not in the map":        {nil, job.Config, mapped("71 alice\n"), buildFailed, string(policy.AccountSource), "no entry"},
		"a drain":               {nil, job.Config, func(p *place) { p.mark(journal.Drain, journal.Mark{Message: "disks"}) }, systemFailed, RuleDrain, "disks"},
		"stopped":               {nil, job.Config, func(p *place) { p.mark(journal.StopJob(7), journal.Mark{Message: "enough"}) }, buildFailed, RuleStopped, "enough"},
		"stopped since":         {nil, job.Run, func(p *place) { p.mark(journal.StopJob(7), journal.Mark{Message: "enough"}) }, buildFailed, RuleStopped, "enough"},
		"no jacamar":            {nil, job.Config, set("auth.jacamar_path", `"/usr/nosuch/jacamar"`), systemFailed, "", "/usr/nosuch/jacamar is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if tt.before != nil {
				p = newPlace(t, tt.before)
			}
			for _, stage := range []job.Stage{job.Config, job.Prepare, job.Run} {
				if stage == tt.stage {
					break
				}
				p.wantSuccess(stage)
			}
			known := len(p.records())
			tt.change(p)
			p.configure()
			p.respond()
			o := p.run(tt.stage)
			if _, ran := p.sent(tt.stage); ran || o.status != tt.status {
				t.Errorf("status %d, jacamar has run: %v: %s%s", o.status, ran, o.out, o.errs)
			}
			rule, reason := p.refusal(known)
			if rule != tt.rule || !strings.Contains(reason, tt.reason) || (tt.rule == "" && tt.reason == "") != (reason == "") {
				t.Errorf("the log has the rule %q and the reason %q", rule, reason)
			}
		})
	}
}

// refusal is what the log has of a refusal after so many records: the rule of the decision, and
// the reason of the stage's end.
func (p *place) refusal(known int) (rule, reason string) {
	p.t.Helper()
	for _, r := range p.records()[known:] {
		switch {
		case r["event"] == "decision" && r["decision"] == "deny":
			rule = r["rule"].(string)
		case r["event"] == "stage_end":
			reason, _ = r["reason"].(string)
		}
	}
	return rule, reason
}

// removeState removes files of the state directory.
func (p *place) removeState(pattern string) {
	p.t.Helper()
	files, err := filepath.Glob(p.path("state/" + pattern))
	if err != nil || len(files) == 0 {
		p.t.Fatal(pattern, files, err)
	}
	for _, file := range files {
		testutil.Must(p.t, os.RemoveAll(file))
	}
}
