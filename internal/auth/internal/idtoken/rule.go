package idtoken

import (
	"errors"
	"fmt"

	"jacamar-ci/internal/failure"
)

// Rule is the stable name of a rule, for audit records and for `explain`.
type Rule string

// The rules, in the order in which they are asked.
const (
	RuleAbsent    Rule = "token: absent"
	RuleSize      Rule = "token: size"
	RuleForm      Rule = "token: form"
	RuleHeader    Rule = "token: header"
	RuleAlgorithm Rule = "token: algorithm"
	RuleKeyID     Rule = "token: key id"
	RuleKey       Rule = "token: key"
	RuleSignature Rule = "token: signature"
	RuleClaims    Rule = "token: claims"
	RuleIssuer    Rule = "token: issuer"
	RuleAudience  Rule = "token: audience"
	RuleTime      Rule = "token: time"
	RuleLife      Rule = "token: life"
	RuleSame      Rule = "token: same token"
	RuleExpired   Rule = "token: expired"
	RuleLogin     Rule = "token: login token"
	RuleJob       Rule = "token: job"
	RuleProject   Rule = "token: project"
	RuleFork      Rule = "token: fork"
	RulePipeline  Rule = "token: pipeline"
	RuleUser      Rule = "token: user"
	RuleComposite Rule = "token: composite identity"
	RuleRunner    Rule = "token: runner"
)

type refusal struct {
	rule Rule
	text string
}

func (r *refusal) Error() string { return string(r.rule) + ": " + r.text }

func refuse(rule Rule, format string, args ...any) *failure.Error {
	return failure.Deniedf("%w", &refusal{rule, fmt.Sprintf(format, args...)})
}

// RuleOf returns the rule that refused a token; ok is false for an error of
// another kind.
func RuleOf(err error) (rule Rule, ok bool) {
	var r *refusal
	if !errors.As(err, &r) {
		return "", false
	}
	return r.rule, true
}
