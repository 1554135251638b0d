package auth

import (
	"context"
	"errors"
	"slices"
	"strings"

	"jacamar-ci/internal/auditlog"
	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/failure"
)

// denial is a refusal with the rule that decided and the rules before it.
type denial struct {
	rule  string
	steps []policy.Step
	err   error
}

func (r *denial) Error() string { return r.err.Error() }
func (r *denial) Unwrap() error { return r.err }

// denialFor returns the refusal of a decision; nil for one that allows.
func denialFor(d policy.Decision) error {
	if d.Allowed {
		return nil
	}
	return &denial{string(d.Rule), d.Steps, d.Err()}
}

// The rules of refusals that are neither of the policy nor of the token.
const (
	RuleRunAs   = "runas"
	RuleImage   = "image" // of explain; a record has the rule that refused
	RuleState   = "state"
	RuleDrain   = "drain"
	RuleStopped = "stopped"
	// RuleConcurrency refuses a job for which no place became free.
	RuleConcurrency = "concurrency"
	RuleUnknown     = "account_unknown"
	RuleOther       = "other"
)

// ruleOf returns the rule of a refusal, and the rules before it where there are any.
func ruleOf(err error) (rule string, steps []policy.Step) {
	var r *denial
	var unknown account.UnknownError
	switch {
	case errors.As(err, &r):
		return r.rule, r.steps
	case errors.As(err, &unknown):
		return RuleUnknown, nil
	}
	if rule, ok := idtoken.RuleOf(err); ok {
		return string(rule), nil
	}
	return RuleOther, nil
}

// granted records the decision that lets the job run.
func (d *authDriver) granted(decision policy.Decision) {
	d.recordRules(decision.Steps)
	d.log.Decided(d.about(), auditlog.Verdict{Allowed: true, Rule: string(decision.Rule), Reason: decision.Reason})
}

// denied records the decision that refuses the job, and returns the refusal. A failure
// before a decision is in the record of the stage's end only.
func (d *authDriver) denied(ctx context.Context, err error) error {
	if failure.KindOf(err) == failure.Denied {
		rule, steps := ruleOf(err)
		d.recordRules(steps)
		reason := strings.TrimPrefix(err.Error(), rule+": ")
		d.log.Decided(d.about(), auditlog.Verdict{Rule: rule, Reason: reason})
		d.refuse(ctx, rule, reason)
		setClass(err, rule)
	}
	return err
}

// imageRefused records the decision that refuses a job because of its image.
func (d *authDriver) imageRefused(err error) {
	var refused *driver.ImageError
	if errors.As(err, &refused) {
		d.log.Decided(d.about(), auditlog.Verdict{Rule: refused.Rule, Reason: refused.Error()})
	}
}

// recordRules records the result of each rule, for a site that logs at level debug.
func (d *authDriver) recordRules(steps []policy.Step) {
	for _, s := range steps {
		d.log.Checked(d.about(), auditlog.Rule{Name: string(s.Rule), Outcome: string(s.Outcome), Reason: s.Reason})
	}
}

// finalRules are the rules whose refusal is final: their reason is the job, its author
// or what the site decided about them, and the same job would be refused again. It is
// a failure of the job, which neither the runner nor GitLab repeats. All other refusals
// are temporary: their reason is the state of this resource.
func finalRules() []string {
	rules := []string{RuleRunAs, RuleStopped}
	for _, r := range idtoken.AllRules() {
		if r != idtoken.RuleTime { // the clock of this host or of GitLab is wrong
			rules = append(rules, string(r))
		}
	}
	for _, r := range []policy.Rule{
		policy.BotAccount, policy.AccountSource, policy.AccountName, policy.Root, policy.Nobody, policy.UIDRange, policy.MinUID,
		policy.ServiceAccount, policy.DuplicateUID, policy.RequireShadow, policy.Locked, policy.Expired, policy.NologinShell, policy.ShellAllow,
		policy.PipelineSource, policy.ProjectBlock, policy.ProjectAllow, policy.ProtectedRefs,
		policy.UserBlock, policy.GroupBlock, policy.NoMatch,
	} {
		rules = append(rules, string(r))
	}
	return rules
}

// setClass marks a refusal by a rule that is not final as temporary. A refusal can be
// marked already where it was made.
func setClass(err error, rule string) {
	var e *failure.Error
	if errors.As(err, &e) {
		e.Temporary = e.Temporary || !slices.Contains(finalRules(), rule)
	}
}
