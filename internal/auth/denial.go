package auth

import (
	"errors"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/policy"
)

// denial is a refusal together with the rule that decided and the walk to it.
type denial struct {
	rule  string
	steps []policy.Step
	err   error
}

func (r *denial) Error() string { return r.err.Error() }
func (r *denial) Unwrap() error { return r.err }

// denialFor is the refusal that a decision is; nil for one that allows.
func denialFor(d policy.Decision) error {
	if d.Allowed {
		return nil
	}
	return &denial{string(d.Rule), d.Steps, d.Err()}
}

// The rules of refusals that come from elsewhere than the policy and the token.
const (
	RuleRunAs   = "runas"
	RuleState   = "state"
	RuleUnknown = "account_unknown"
	RuleOther   = "other"
)

// ruleOf returns the rule of a refusal, and the walk to it where there was one.
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
