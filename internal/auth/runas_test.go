package auth

import (
	"encoding/json"
	"errors"
	"testing"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/state"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// chosen is what a login asks for before RunAs.
func chosen(t *testing.T, login string) policy.Candidate {
	t.Helper()
	c, d := policy.Choose(claims.Identity{User: claims.User{ID: 7, Login: login}}, policy.Rules{Source: settings.UserLogin, AllowBots: true})
	if !d.Allowed {
		t.Fatal(d.Reason)
	}
	return c
}

func TestDelegationSettlesTheAccount(t *testing.T) {
	for name, tc := range map[string]struct {
		answer     state.Delegation
		configured bool
		want       string // "" is a refusal
	}{
		"no script":                     {state.Delegation{}, false, "alice"},
		"accepted":                      {state.Delegation{Called: true}, true, "alice"},
		"accepted the target":           {state.Delegation{Called: true, Target: testutil.Username(t, "svc")}, true, "svc"},
		"named another":                 {state.Delegation{Called: true, Named: testutil.Username(t, "carol")}, true, "carol"},
		"named another than the target": {state.Delegation{Called: true, Target: testutil.Username(t, "svc"), Named: testutil.Username(t, "carol")}, true, "carol"},
		"script removed since":          {state.Delegation{Called: true, Named: testutil.Username(t, "carol")}, false, "carol"},
		"script new since":              {state.Delegation{}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			// The answer travels from the config stage to the others as JSON.
			text, err := json.Marshal(tc.answer)
			if err != nil {
				t.Fatal(err)
			}
			var answer state.Delegation
			if err := json.Unmarshal(text, &answer); err != nil {
				t.Fatal(err)
			}
			got, err := apply(answer, chosen(t, "alice"), tc.configured)
			if got.Login().String() != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("%q, %v", got.Login(), err)
			}
		})
	}
}

// TestBotNeedsAName: only a name that the script itself gives makes a bot's job
// runnable; accepting the bot's own wish does not.
func TestBotNeedsAName(t *testing.T) {
	bot := chosen(t, "project_1_bot_abc")
	for name, tc := range map[string]struct {
		answer  state.Delegation
		refused bool
	}{
		"accepted":            {state.Delegation{Called: true}, true},
		"accepted the target": {state.Delegation{Called: true, Target: testutil.Username(t, "svc")}, true},
		"named":               {state.Delegation{Called: true, Named: testutil.Username(t, "svc")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := apply(tc.answer, bot, true)
			if err != nil {
				t.Fatal(err)
			}
			facts := policy.Facts{Account: job.Account{Name: c.Login(), UID: 2000, GID: 2000}}
			_, d := policy.Decide(claims.Identity{}, c, facts, policy.Rules{})
			if got := d.Steps[0].Outcome == policy.Deny; d.Steps[0].Rule != policy.BotAccount || got != tc.refused {
				t.Errorf("%+v", d.Steps[0])
			}
		})
	}
}

func TestRuleOf(t *testing.T) {
	denied := policy.Decision{Rule: policy.Root, Reason: "no", Steps: []policy.Step{{Rule: policy.Root}}}
	for name, tc := range map[string]struct {
		err   error
		want  string
		steps int
	}{
		"policy":          {denialFor(denied), "root", 1},
		"wrapped":         {failure.Deniedf("x: %w", denialFor(denied)), "root", 1},
		"runas":           {&denial{rule: RuleRunAs, err: errors.New("no")}, "runas", 0},
		"unknown account": {&failure.Error{Kind: failure.Denied, Cause: account.UnknownError{}}, "account_unknown", 0},
		"something else":  {failure.Deniedf("no"), "other", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if rule, steps := ruleOf(tc.err); rule != tc.want || len(steps) != tc.steps {
				t.Errorf("%q, %d steps", rule, len(steps))
			}
		})
	}
	if denialFor(policy.Decision{Allowed: true}) != nil {
		t.Error("a decision that allows is a refusal")
	}
	if failure.KindOf(denialFor(denied)) != failure.Denied {
		t.Error("a ruling hides its kind")
	}
}
