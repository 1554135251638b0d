package idtoken

import (
	"errors"
	"fmt"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// Rule is the stable name of a rule, for the audit log and for `explain`.
type Rule string

// The rules in the order in which they are checked.
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

type ruleError struct {
	rule Rule
	text string
}

func (r *ruleError) Error() string { return string(r.rule) + ": " + r.text }

func refuse(rule Rule, format string, args ...any) *failure.Error {
	return failure.Deniedf("%w", &ruleError{rule, fmt.Sprintf(format, args...)})
}

// RuleOf returns the rule that refused a token; ok is false for other errors.
func RuleOf(err error) (rule Rule, ok bool) {
	var r *ruleError
	if !errors.As(err, &r) {
		return "", false
	}
	return r.rule, true
}

// Rules are the site's rules for tokens and the token that the config stage of the
// same job accepted.
type Rules struct {
	// Issuer is the required value of iss, compared byte by byte.
	Issuer string
	// Audience must be aud or one of its entries. It must not be "".
	Audience string
	// Advice is how the job's author requests a token with that audience.
	Advice failure.Advice

	// RunnerIDs are this site's runners; empty accepts all.
	RunnerIDs []job.ID
	// AllowForks accepts merge request pipelines of forks.
	AllowForks bool
	// Accepted is the id (jti) of the token that this job's config stage accepted, ""
	// in config itself. A later stage must present the same token.
	Accepted string
	// Expiry is how long the accepted token stays valid after exp.
	Expiry Expiry
}

// Expiry is how long the accepted token of a job stays valid after exp. A token is
// valid for the timeout of the job, so that the stages after a timeout present an
// expired one. The zero value accepts no expired token.
type Expiry struct {
	grace   time.Duration
	ignored bool
}

// Grace accepts the token for the duration d after exp.
func Grace(d time.Duration) Expiry { return Expiry{grace: d} }

// Ignored accepts the token indefinitely. It is for cleanup, which must not leave a
// batch job behind.
func Ignored() Expiry { return Expiry{ignored: true} }

func (r Rules) check() error {
	switch {
	case r.Issuer == "":
		return failure.Configf("cannot verify a token: no issuer is configured")
	case r.Audience == "":
		return failure.Configf("cannot verify a token: no audience is configured")
	}
	return nil
}
