package policy

import (
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/job"
)

// Candidate is the account that a job asks for; nothing is granted by it.
type Candidate struct {
	login job.Username
	// bot is an account of GitLab that is no person's, and that nobody but its
	// makers has named: a local account of this name is not meant.
	bot bool
}

// Login is the account's name, the zero value in a refusal.
func (c Candidate) Login() job.Username { return c.login }

// Accepted returns the candidate after a RunAs script accepted name, which the
// job had asked for.
func (c Candidate) Accepted(name job.Username) Candidate { return Candidate{name, c.bot} }

// Named returns the candidate after a RunAs script itself named the account.
func (c Candidate) Named(name job.Username) Candidate { return Candidate{login: name} }

// Choose finds the account that the job asks for. It falls back on nothing: a
// user whom the site's source does not know is refused.
func Choose(id claims.Identity, r Rules) (Candidate, Decision) {
	bot := botStep(id.User, r)
	c, source := fromSource(id.User, r)
	c.bot = id.User.Bot() && r.Source != Mapped
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
	case UserLogin:
		return parsed(u.Login, "the user's name at GitLab")
	case ExternUID:
		uid, found := u.External(r.Provider)
		if !found {
			return Candidate{}, deny(AccountSource, "%q has not exactly one identity at the provider %q", u.Login, r.Provider)
		}
		return parsed(uid, "the user's identity at the provider "+r.Provider)
	case Mapped:
		name, found := r.Map[u.ID]
		if !found {
			return Candidate{}, deny(AccountSource, "the account map has no entry for user %s (%q)", u.ID, u.Login)
		}
		return Candidate{login: name}, ok(AccountSource, "the account map says %s for user %s", name, u.ID)
	}
	return Candidate{}, deny(AccountSource, "%q is not an account source", string(r.Source))
}

func parsed(text, what string) (Candidate, Step) {
	name, err := job.ParseUsername(text)
	if err != nil {
		return Candidate{}, deny(AccountSource, "%s: %v", what, err)
	}
	return Candidate{login: name}, ok(AccountSource, "%s is %s", what, name)
}
