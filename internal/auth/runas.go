package auth

import (
	"context"

	"jacamar-ci/internal/auditlog"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/runas"
	"jacamar-ci/internal/auth/internal/state"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// runas is the site's validation script; ok is false where it has none.
func (d *authDriver) runas() (s runas.Script, ok bool) {
	r := d.Site.Auth.RunAs
	s = runas.Script{
		Path: r.ValidationScript, Trust: d.trust(), SHA256: string(r.SHA256), Env: r.ValidationEnv, Federated: r.Federated, As: d.helperIDs(),
	}
	return s, !s.Path.IsZero()
}

// delegate queries the script whether the job may have the account that was chosen, or
// the one that the job requests. Its answer is a proposal: all rules apply to the
// resulting account.
func (d *authDriver) delegate(ctx context.Context, c policy.Candidate, rules policy.Rules) (state.Delegation, error) {
	script, ok := d.runas()
	if !ok {
		return state.Delegation{}, nil
	}
	if err := d.preValidate(ctx, c, rules); err != nil {
		return state.Delegation{}, err
	}
	wanted, _ := d.Env.Variable(string(d.Site.Auth.RunAs.UserVariable))
	target, err := runas.ParseTarget(wanted)
	if err != nil {
		return state.Delegation{}, &denial{rule: RuleRunAs, err: err}
	}
	return d.queryScript(ctx, script, c, target)
}

func (d *authDriver) queryScript(ctx context.Context, script runas.Script, c policy.Candidate, target job.Username) (state.Delegation, error) {
	a, err := script.Run(ctx, d.id, c.Login(), target)
	if err != nil {
		return state.Delegation{}, &denial{rule: RuleRunAs, err: err}
	}
	d.log.Checked(d.about(), auditlog.Rule{Name: RuleRunAs, Outcome: string(policy.OK), Reason: "accepted as " + a.Username.String() + " " + a.Notes})
	answer := state.Delegation{Called: true, Target: target, DataDir: a.DataDir, Message: a.Message}
	if a.Named {
		answer.Named = a.Username
	}
	return answer, nil
}

// preValidate applies the lists to the name that the job came with, where the site
// configured that. An account that does not exist is in no group.
func (d *authDriver) preValidate(ctx context.Context, c policy.Candidate, rules policy.Rules) error {
	if !rules.PreValidation {
		return nil
	}
	groups, err := d.groupsOf(ctx, c.Login(), rules)
	if err != nil {
		return err
	}
	return denialFor(policy.PreValidate(c, groups, rules))
}

// apply returns the candidate that follows from the answer. A script that was configured
// after the config stage of this job has accepted nothing.
func apply(a state.Delegation, c policy.Candidate, configured bool) (policy.Candidate, error) {
	switch {
	case configured && !a.Called:
		return policy.Candidate{}, &denial{rule: RuleRunAs, err: failure.Deniedf("the script was configured after the job's config stage")}
	case a.Named != job.Username{}:
		return c.Named(a.Named), nil
	case a.Target != job.Username{}:
		return c.Accepted(a.Target), nil
	}
	return c, nil
}
