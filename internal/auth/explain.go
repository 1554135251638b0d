package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/explain"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/runas"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

func (d *authDriver) explain(ctx context.Context, q ExplainOptions) (w explain.Walk, err error) {
	if err = d.configure(); err != nil {
		return w, err
	}
	if err = d.findHelper(); err != nil {
		return w, err
	}
	w.Configuration = d.File
	if w.Steps, err = d.explainToken(ctx, q); err != nil {
		return w, err
	}
	if w.ID = d.id; w.ID.User.Login == "" {
		return w, nil
	}
	rules, err := d.rules()
	if err != nil {
		return w, err
	}
	candidate, choice := policy.Choose(d.id, rules)
	w.Steps = append(w.Steps, choice.Steps...)
	if !choice.Allowed {
		return w, nil
	}
	candidate, steps, err := d.explainRunAs(ctx, q, candidate, rules)
	if w.Steps = append(w.Steps, steps...); err != nil || candidate.Login() == (job.Username{}) {
		return w, err
	}
	facts, err := d.ask(ctx, candidate.Login(), rules)
	if unknown := (account.UnknownError{}); errors.As(err, &unknown) {
		w.Steps = append(w.Steps, policy.Step{Rule: ruleUnknown, Outcome: policy.Deny, Reason: unknown.Error()})
		return w, nil
	}
	if err != nil {
		return w, err
	}
	_, w.Decision = policy.Decide(d.id, candidate, facts, rules)
	w.Steps = append(w.Steps, w.Decision.Steps...)
	w.Account = &facts.Account
	return w, nil
}

// explainToken judges the token or the claims and reads them in any case: an
// administrator wants to see all that stands in the way of a job, and the token
// of an ended job has expired.
func (d *authDriver) explainToken(ctx context.Context, q ExplainOptions) ([]policy.Step, error) {
	if q.Claims != "" {
		payload, err := readFile(q.Claims)
		if err != nil {
			return nil, err
		}
		d.id, err = idtoken.Examine(payload, d.tokenRules(), claims.Expected{}, time.Now())
		return explain.Token(err, false), nil
	}
	if err := d.readResponse(q.Response); err != nil {
		return nil, err
	}
	raw, err := readFile(q.Token)
	if err != nil {
		return nil, err
	}
	token, err := idtoken.Parse(job.NewSecret(trimLine(raw)))
	if err != nil {
		return explain.Token(err, true), nil
	}
	if d.id, err = d.verified(ctx, token); err != nil {
		refusal := err
		d.id, _ = idtoken.Examine(token.UnverifiedClaims(), d.tokenRules(), expected(d.Facts), time.Now())
		return explain.Token(refusal, true), nil
	}
	return explain.Token(nil, true), nil
}

func (d *authDriver) verified(ctx context.Context, token idtoken.Token) (claims.Identity, error) {
	keys, err := d.keySource(ctx)
	if err != nil {
		return claims.Identity{}, err
	}
	set, err := keys.Peek(ctx, token.KeyID(), time.Now())
	if err != nil {
		return claims.Identity{}, err
	}
	return token.Verify(set, d.tokenRules(), expected(d.Facts), time.Now())
}

// explainRunAs gives no candidate when the walk ends here.
func (d *authDriver) explainRunAs(ctx context.Context, q ExplainOptions, c policy.Candidate, rules policy.Rules) (policy.Candidate, []policy.Step, error) {
	script, ok := d.runas()
	step := func(outcome policy.Outcome, format string, args ...any) []policy.Step {
		return []policy.Step{{Rule: ruleRunAs, Outcome: outcome, Reason: fmt.Sprintf(format, args...)}}
	}
	if !ok {
		return c, step(policy.Skipped, "not set"), nil
	}
	groups, err := d.groupsOf(ctx, c.Login(), rules)
	if err != nil {
		return policy.Candidate{}, nil, err
	}
	before := policy.PreValidate(c, groups, rules)
	if !before.Allowed {
		return policy.Candidate{}, before.Steps, nil
	}
	target, err := runas.ParseTarget(q.Target)
	if err != nil {
		return policy.Candidate{}, append(before.Steps, step(policy.Deny, "%v", err)...), nil
	}
	if !q.RunAs {
		return c, append(before.Steps, step(policy.Skipped, "%s would be asked about %s; --runas asks it now", script.Path, c.Login())...), nil
	}
	answer, err := d.askScript(ctx, script, c, target)
	if failure.KindOf(err) == failure.Denied {
		return policy.Candidate{}, append(before.Steps, step(policy.Deny, "%v", err)...), nil
	}
	if err != nil {
		return policy.Candidate{}, nil, err
	}
	c, err = apply(answer, c, true)
	return c, append(before.Steps, step(policy.OK, "%s accepts %s", script.Path, c.Login())...), err
}
