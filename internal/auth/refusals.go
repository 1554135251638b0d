package auth

import (
	"errors"
	"slices"

	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/failure"
)

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
