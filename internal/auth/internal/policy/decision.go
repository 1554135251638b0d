package policy

import (
	"fmt"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
	"jacamar-ci/internal/settings"
)

// Rule is the stable name of a rule in the log. A rule that belongs to one key of the
// configuration has the name of the key.
type Rule string

// The rules of Choose.
const (
	BotAccount    Rule = "bot_account"
	AccountSource Rule = "account_source"
)

// The rules of Decide without the lists, in their order.
const (
	AccountName    Rule = "account_name"
	Root           Rule = "root"
	Nobody         Rule = "nobody"
	UIDRange       Rule = "uid_range"
	MinUID         Rule = "min_uid"
	ServiceAccount Rule = "service_account"
	DuplicateUID   Rule = "duplicate_uid"
	RequireShadow  Rule = "require_shadow"
	Locked         Rule = "locked"
	Expired        Rule = "expired"
	NologinShell   Rule = "nologin_shell"
	ShellAllow     Rule = "shell_allowlist"
	EnforceNologin Rule = "enforce_nologin"
	PipelineSource Rule = "pipeline_source_allowlist"
	ProjectBlock   Rule = "project_blocklist"
	ProjectAllow   Rule = "project_allowlist"
	ProtectedRefs  Rule = "protected_refs_only"
)

// The lists, and the two results without a match.
const (
	PreValidation Rule = "lists_pre_validation"
	UserAllow     Rule = "user_allowlist"
	UserBlock     Rule = "user_blocklist"
	GroupAllow    Rule = "groups_allowlist"
	GroupBlock    Rule = "groups_blocklist"
	NoMatch       Rule = "no_allowlist_match"
	Default       Rule = "default"
)

// Cleanup is the rule of DecideCleanup.
const Cleanup Rule = "cleanup"

// Outcome is the result of one rule.
type Outcome string

// The outcomes. Skipped is a rule that does not apply: one that is not configured, or
// a list without a match.
const (
	OK      Outcome = "ok"
	Deny    Outcome = "deny"
	Skipped Outcome = "skipped"
)

// Step is the outcome of one rule, with the reason for the operator.
type Step struct {
	Rule    Rule    `json:"rule"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason"`
}

// Decision is the result of a set of rules. All rules are checked, also after a
// refusal, so that an administrator sees every obstacle.
type Decision struct {
	Allowed bool `json:"allowed"`
	// Rule decided: the first that refused, else the list that named the account,
	// else Default.
	Rule   Rule   `json:"rule"`
	Reason string `json:"reason"`
	Steps  []Step `json:"steps"`
}

// Err returns nil, or the refusal as a failure.Denied whose text, for the
// operator, begins with the rule.
func (d Decision) Err() error {
	if d.Allowed {
		return nil
	}
	f := failure.Deniedf("%s: %s", d.Rule, d.Reason)
	if d.Rule == EnforceNologin {
		return f.WithPublic("this CI resource takes no jobs now: its administrators have disabled logins").WithHint("retry the job when they allow logins again")
	}
	return f
}

// conclude returns the decision for the steps. Without steps it is a refusal.
func conclude(steps []Step) Decision {
	d := Decision{Rule: Default, Reason: "no rule refuses the job", Allowed: len(steps) > 0, Steps: steps}
	for _, s := range steps {
		switch {
		case s.Outcome == Deny:
			return Decision{Rule: s.Rule, Reason: s.Reason, Steps: steps}
		case s.Outcome == OK && (s.Rule == UserAllow || s.Rule == GroupAllow):
			d.Rule, d.Reason = s.Rule, s.Reason
		}
	}
	return d
}

func ok(r Rule, format string, args ...any) Step {
	return Step{r, OK, fmt.Sprintf(format, args...)}
}

func deny(r Rule, format string, args ...any) Step {
	return Step{r, Deny, fmt.Sprintf(format, args...)}
}

func skip(r Rule, format string, args ...any) Step {
	return Step{r, Skipped, fmt.Sprintf(format, args...)}
}

// Rules are the site's configuration. The zero value refuses every job.
type Rules struct {
	// Source is where the account's name comes from. settings.UserLogin is safe only if
	// users cannot rename themselves at GitLab; the others do not depend on the name.
	Source settings.AccountSource
	// Provider is the name of the identity provider, for settings.ExternUID.
	Provider string
	// Map gives the account of a GitLab user, for settings.Map.
	Map map[job.ID]job.Username
	// AllowBots accepts bots and service accounts of GitLab whose account the map
	// or a RunAs script names.
	AllowBots bool

	UserAllow  List[string]
	UserBlock  []string
	GroupAllow List[string]
	GroupBlock []string
	// PreValidation also checks these four before RunAs.
	PreValidation bool

	ShellAllow     List[string]
	PipelineSource List[string]
	ProjectAllow   List[glob.Pattern]
	ProjectBlock   []glob.Pattern
	ProtectedRefs  bool
	Nologin        bool
	// RequireShadow refuses an account if it is not known whether it is locked or
	// expired.
	RequireShadow bool
	MinUID        job.UID
	// Helper is the account that is reserved for jacamar-auth.
	Helper job.Username
	// RunAsService is downscope = "none": jobs run as the service account.
	RunAsService bool
}

// List is an allowlist. An empty one that is set allows no entry; one that is not set
// is not checked.
type List[T any] struct {
	Set     bool
	Entries []T
}

// active returns the entries of a list that is set.
func (l List[T]) active() []T {
	if !l.Set {
		return nil
	}
	return l.Entries
}

// Facts are the facts about the account that the job would get.
type Facts struct {
	Account job.Account
	Groups  Groups
	Aging   passwd.Aging
	// Owner is the name that the name services have for the account's user id.
	Owner job.Username
	// Shells are the login shells of the machine, /etc/shells.
	Shells []job.AbsPath
	// LoginsOff reports whether /etc/nologin or /run/nologin exists.
	LoginsOff bool
	// Service is the user id of the runner's own account.
	Service job.UID
}
