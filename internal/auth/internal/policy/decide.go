// Package policy decides whether a job may run, and as which local account. It has no
// side effects: the input is verified claims, the site's rules and facts about the
// account; the output is a decision with its reasons.
//
//	Choose       finds the account that the job requests, by the site's account_source
//	PreValidate  checks the lists for that name before a RunAs script (optional)
//	Decide       checks every rule for the account that the job would get
//
// # The lists
//
// user_allowlist, user_blocklist, groups_allowlist and groups_blocklist are checked in
// this order and the first match decides. If nothing matches and an allowlist is set,
// the job is refused. An empty list counts as set: as an allowlist it matches no
// account. Entries are compared exactly.
//
// An entry of a list of groups is compared by the id that the name service has for
// it, and by the names that it has for the account's groups (Membership). A group id
// without a readable name cannot be compared with groups_blocklist; if that list is
// set and no earlier list decides, such an account is refused.
//
// # The account
//
// Always refused, without regard to the lists: user id 0 and primary group 0; nobody
// (65534) as either; ids over 2^31-1, including the values of -1, and 65535; a user id
// under min_uid; the runner's own service account; a name that shares its user id with
// another name; an account that is locked or expired; a login shell named nologin or
// false.
//
// Group 0 as a supplementary group is accepted, as at a login.
//
// With downscope = "none" (Rules.RunAsService) jobs run as the service account. Then
// that account is the only one allowed, the lists apply to the name that the job
// requested, and every other rule applies as well.
//
// # Projects
//
// project_blocklist and project_allowlist have globs for the path of the job's
// project; a match in the blocklist takes precedence. See glob.Pattern.
package policy

import (
	"fmt"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// Candidate is the account that a job requests. It grants nothing.
type Candidate struct {
	login job.Username
	// bot marks a GitLab account of no person whose name only its creators have chosen:
	// a local account of the same name is not meant.
	bot bool
}

// Login returns the account's name, the zero value after a refusal.
func (c Candidate) Login() job.Username { return c.login }

// Accepted returns the candidate after a RunAs script accepted name, which the job
// requested.
func (c Candidate) Accepted(name job.Username) Candidate { return Candidate{name, c.bot} }

// Named returns the candidate after a RunAs script itself named the account.
func (c Candidate) Named(name job.Username) Candidate { return Candidate{login: name} }

// Choose finds the account that the job requests. There is no fallback: a user without
// an account in the site's source is refused.
func Choose(id claims.Identity, r Rules) (Candidate, Decision) {
	bot := botStep(id.User, r)
	c, source := fromSource(id.User, r)
	c.bot = id.User.Bot() && r.Source != settings.Map
	d := conclude([]Step{bot, source})
	if !d.Allowed {
		return Candidate{}, d
	}
	return c, d
}

func botStep(u claims.User, r Rules) Step {
	switch {
	case !u.Bot():
		return ok(BotAccount, "%q is not a bot or service account of GitLab", u.Login)
	case !r.AllowBots:
		return deny(BotAccount, "%q is a bot or service account of GitLab", u.Login)
	}
	return ok(BotAccount, "%q is a bot or service account of GitLab, which allow_bot_accounts accepts", u.Login)
}

func fromSource(u claims.User, r Rules) (Candidate, Step) {
	switch r.Source {
	case settings.UserLogin:
		return parseCandidate(u.Login, "the user's name at GitLab")
	case settings.ExternUID:
		uid, found := u.External(r.Provider)
		if !found {
			return Candidate{}, deny(AccountSource, "%q has not exactly one identity at the provider %q", u.Login, r.Provider)
		}
		return parseCandidate(uid, "the user's identity at the provider "+r.Provider)
	case settings.Map:
		name, found := r.Map[u.ID]
		if !found {
			return Candidate{}, deny(AccountSource, "the account map has no entry for user %s (%q)", u.ID, u.Login)
		}
		return Candidate{login: name}, ok(AccountSource, "the account map assigns %s to user %s", name, u.ID)
	}
	return Candidate{}, deny(AccountSource, "%q is not an account source", string(r.Source))
}

func parseCandidate(text, what string) (Candidate, Step) {
	name, err := job.ParseUsername(text)
	if err != nil {
		return Candidate{}, deny(AccountSource, "%s: %v", what, err)
	}
	return Candidate{login: name}, ok(AccountSource, "%s is %s", what, name)
}

// Grant is the right to run one job as one account. Only Decide, DecideCleanup
// and DecideReap create one that contains an account.
type Grant struct{ account *job.Account }

// Account returns the account; ok is false for the zero Grant.
func (g Grant) Account() (a job.Account, ok bool) {
	if g.account == nil {
		return job.Account{}, false
	}
	return *g.account, true
}

// input is the input of the rules.
type input struct {
	id        claims.Identity
	candidate Candidate
	facts     Facts
	rules     Rules
}

// ruleChecks are the rules of Decide without the lists, in their order.
var ruleChecks = []func(input) Step{
	botMapped, accountName, rootAccount, nobodyAccount, uidRange, minUID, serviceAccount, duplicateUID,
	shadowKnown, lockedAccount, expiredAccount, nologinShell, shellAllowed, enforceNologin,
	pipelineSource, projectBlocked, projectAllowed, protectedRefs,
}

// Decide checks every rule for the account that the job would get.
func Decide(id claims.Identity, c Candidate, f Facts, r Rules) (Grant, Decision) {
	m := input{id, c, f, r}
	var steps []Step
	for _, check := range ruleChecks {
		steps = append(steps, check(m))
	}
	d := conclude(append(steps, lists(c.login, f.Groups, r)...))
	if !d.Allowed {
		return Grant{}, d
	}
	account := f.Account
	return Grant{&account}, d
}

// DecideService checks the rules about the account alone, for a site whose jobs all run as
// the service account: what one of them refuses, Decide refuses for every job.
func DecideService(f Facts, r Rules) Decision {
	m := input{facts: f, rules: r}
	return conclude([]Step{rootAccount(m), nobodyAccount(m), uidRange(m), minUID(m), lockedAccount(m), expiredAccount(m), nologinShell(m), shellAllowed(m)})
}

// DecideCleanup grants the cleanup of a job whose config stage was granted the account
// of the facts and which the site's rules now refuse with the error refused. It checks
// only the rules that a site cannot change.
func DecideCleanup(f Facts, r Rules, refused error) (Grant, Decision) {
	return decideCleanup(f, r, fmt.Sprintf("the config stage granted the job, which is refused now (%v)", refused))
}

// DecideReap grants the cleanup of a job that its runner abandoned and whose config
// stage was granted the account of the facts. It checks what DecideCleanup does.
func DecideReap(f Facts, r Rules) (Grant, Decision) {
	return decideCleanup(f, r, "the config stage granted the job")
}

func decideCleanup(f Facts, r Rules, reason string) (Grant, Decision) {
	m := input{facts: f, rules: r, candidate: Candidate{login: f.Account.Name}}
	steps := []Step{accountName(m), rootAccount(m), nobodyAccount(m), uidRange(m), serviceAccount(m)}
	d := conclude(steps)
	if !d.Allowed {
		return Grant{}, d
	}
	d.Rule, d.Reason = Cleanup, reason
	account := f.Account
	return Grant{&account}, d
}

// PreValidate checks the lists for the name that the job requests if the site
// configures that before RunAs. An account that does not exist has no groups.
func PreValidate(c Candidate, g Groups, r Rules) Decision {
	if !r.PreValidation {
		return conclude([]Step{skip(PreValidation, "not set")})
	}
	return conclude(lists(c.login, g, r))
}
