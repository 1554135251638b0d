package idtoken

import (
	"context"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
)

// Order returns every rule in the order in which they are asked.
func Order() []Rule {
	return []Rule{
		RuleAbsent, RuleSize, RuleForm, RuleHeader, RuleAlgorithm, RuleKeyID, RuleKey, RuleSignature, RuleClaims,
		RuleIssuer, RuleAudience, RuleTime, RuleLife, RuleSame, RuleExpired,
		RuleLogin, RuleJob, RuleProject, RuleFork, RulePipeline, RuleUser, RuleComposite, RuleRunner,
	}
}

// Unverified returns the claims of the token as text. Anybody could have written
// them.
func (t Token) Unverified() []byte { return t.payload }

// Examine reads claims that nobody has verified, to show an administrator what
// the site's rules would make of them; what it returns must never start anything.
// The error is the first rule that refuses them. The identity is there also then,
// with what could be read of it. Without an expected job, the one that the claims
// say they are of is expected.
func Examine(payload []byte, rules Rules, expected claims.Expected, now time.Time) (claims.Identity, error) {
	values, ok := decodeObject(payload)
	if !ok {
		return claims.Identity{}, refuse(RuleClaims, "they are not one JSON object with distinct keys")
	}
	if expected == (claims.Expected{}) {
		expected = own(values)
	}
	c := &claimSet{values: values}
	id := read(c, expected)
	id.Token = claims.Token{ID: c.optional("jti", nameLength), Issuer: c.optional("iss", pathLength)}
	checked := &claimSet{values: values}
	token, err := acceptToken(checked, rules, now)
	if err != nil {
		return id, err
	}
	_, err = bind(checked, token, rules, expected)
	return id, err
}

// own is the job that claims say they are of, for claims without a job to be
// held against.
func own(values map[string]any) claims.Expected {
	c := &claimSet{values: values}
	e := claims.Expected{JobID: c.id("job_id"), ProjectID: c.id("project_id")}
	if c.has("job_project_id") {
		e.ProjectID = c.id("job_project_id")
	}
	return e
}

// Look returns a set that has the key, as For does, but keeps nothing.
func (k *Keys) Look(ctx context.Context, kid string, now time.Time) (KeySet, error) {
	kept, err := k.store.read()
	if err == nil {
		if last, believed := k.serving(kept, kid, now); believed {
			return last.set, nil
		}
	}
	fresh, err := k.ask(ctx, now)
	switch {
	case err != nil:
		return KeySet{}, unavailable(err, kid)
	case !fresh.set.Has(kid):
		return KeySet{}, refuse(RuleKey, "the server has no key %q", kid)
	}
	return fresh.set, nil
}
