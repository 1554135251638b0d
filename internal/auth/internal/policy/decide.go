package policy

import (
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/job"
)

// Grant is the right to run one job as one account. Only Decide makes one that
// holds an account.
type Grant struct{ account *job.Account }

// Account returns the account; ok is false for a Grant that Decide did not make.
func (g Grant) Account() (a job.Account, ok bool) {
	if g.account == nil {
		return job.Account{}, false
	}
	return *g.account, true
}

// input is what the rules look at.
type input struct {
	id        claims.Identity
	candidate Candidate
	facts     Facts
	rules     Rules
}

// judges is Decide without the lists, in its order.
var judges = []func(input) Step{
	botMapped, accountName, root, nobody, uidRange, minUID, serviceAccount, duplicateUID,
	shadowKnown, locked, expired, nologinShell, shellAllowed, enforceNologin,
	pipelineSource, projectBlocked, projectAllowed, protectedRefs,
}

// Decide walks every rule for the account that the job would get.
func Decide(id claims.Identity, c Candidate, f Facts, r Rules) (Grant, Decision) {
	m := input{id, c, f, r}
	var steps []Step
	for _, judge := range judges {
		steps = append(steps, judge(m))
	}
	d := conclude(append(steps, lists(c.login, f.Groups, r)...))
	if !d.Allowed {
		return Grant{}, d
	}
	account := f.Account
	return Grant{&account}, d
}

// PreValidate walks the lists for the name that the job asks for, where the site
// wants that done before RunAs. An account that does not exist has no groups.
func PreValidate(c Candidate, g Groups, r Rules) Decision {
	if !r.PreValidation {
		return conclude([]Step{skip(PreValidation, "not set")})
	}
	return conclude(lists(c.login, g, r))
}
