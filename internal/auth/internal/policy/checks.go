package policy

import (
	"math"
	"slices"

	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/job"
)

func botMapped(m input) Step {
	if m.candidate.bot {
		return deny(BotAccount, "neither the account map nor the RunAs script names an account for the bot %q", m.id.User.Login)
	}
	return ok(BotAccount, "the account was not chosen by a bot's name")
}

func accountName(m input) Step {
	a, login := m.facts.Account, m.candidate.login
	switch {
	case login == job.Username{}:
		return deny(AccountName, "no account was chosen")
	case m.rules.RunAsService && a.UID != m.facts.Service:
		return deny(AccountName, "downscope is none: the job would run with user id %d, not as %s", m.facts.Service, a.Name)
	case m.rules.RunAsService:
		return ok(AccountName, "downscope is none: jobs of %s run as the service account %s", login, a.Name)
	case a.Name != login:
		return deny(AccountName, "the account %q is not the one that was chosen, %s", a.Name.String(), login)
	}
	return ok(AccountName, "the account is %s", login)
}

func rootAccount(m input) Step {
	switch a := m.facts.Account; {
	case a.UID == 0:
		return deny(Root, "%s has user id 0", a.Name)
	case a.GID == 0:
		return deny(Root, "the primary group of %s is group 0", a.Name)
	}
	return ok(Root, "neither the user nor the primary group is root")
}

func nobodyAccount(m input) Step {
	switch a := m.facts.Account; {
	case a.UID == job.Nobody:
		return deny(Nobody, "%s has the user id of nobody", a.Name)
	case a.GID == job.Nobody:
		return deny(Nobody, "the primary group of %s is that of nobody", a.Name)
	}
	return ok(Nobody, "neither the user nor the primary group is nobody")
}

// uidRange refuses ids that some interfaces read as another number: those over 2^31-1
// are negative to some tools; 2^32-1 is "unchanged" to setresuid(2), and 65535 was
// that with 16 bits.
func uidRange(m input) Step {
	a := m.facts.Account
	for _, id := range []uint32{uint32(a.UID), uint32(a.GID)} {
		if id > math.MaxInt32 || id == math.MaxUint16 {
			return deny(UIDRange, "%s has the id %d, which some interfaces read as another number", a.Name, id)
		}
	}
	return ok(UIDRange, "user id %d, primary group %d", a.UID, a.GID)
}

func minUID(m input) Step {
	a, least := m.facts.Account, m.rules.MinUID
	if a.UID < least {
		return deny(MinUID, "%s has user id %d, under %d", a.Name, a.UID, least)
	}
	return ok(MinUID, "user id %d is not under %d", a.UID, least)
}

func serviceAccount(m input) Step {
	switch {
	case m.rules.RunAsService:
		return skip(ServiceAccount, "downscope is none")
	case m.facts.Account.Name == m.rules.Helper:
		return deny(ServiceAccount, "%s is auth.helper_account, which is reserved for jacamar-auth", m.facts.Account.Name)
	case m.facts.Account.UID == m.facts.Service:
		return deny(ServiceAccount, "%s is the service account of the runner", m.facts.Account.Name)
	}
	return ok(ServiceAccount, "the service account of the runner has user id %d", m.facts.Service)
}

func duplicateUID(m input) Step {
	a, owner := m.facts.Account, m.facts.Owner
	if owner != a.Name {
		return deny(DuplicateUID, "user id %d belongs to %q as well as to %s", a.UID, owner.String(), a.Name)
	}
	return ok(DuplicateUID, "user id %d is that of %s only", a.UID, a.Name)
}

func shadowKnown(m input) Step {
	switch {
	case !m.rules.RequireShadow:
		return skip(RequireShadow, "not set")
	case !m.facts.Aging.Known:
		return deny(RequireShadow, "cannot read the shadow entry of %s, so that it may be locked or expired", m.facts.Account.Name)
	}
	return ok(RequireShadow, "the shadow entry of %s was read", m.facts.Account.Name)
}

func lockedAccount(m input) Step {
	switch {
	case !m.facts.Aging.Known:
		return skip(Locked, "cannot read the shadow entry")
	case m.facts.Aging.Locked:
		return deny(Locked, "the account %s is locked", m.facts.Account.Name)
	}
	return ok(Locked, "the account is not locked")
}

func expiredAccount(m input) Step {
	switch {
	case !m.facts.Aging.Known:
		return skip(Expired, "cannot read the shadow entry")
	case m.facts.Aging.Expired:
		return deny(Expired, "the account %s is expired", m.facts.Account.Name)
	}
	return ok(Expired, "the account is not expired")
}

func nologinShell(m input) Step {
	a := m.facts.Account
	if a.NoLogin() {
		return deny(NologinShell, "the login shell of %s is %s", a.Name, a.Shell)
	}
	return ok(NologinShell, "the login shell is %s", a.Shell)
}

func shellAllowed(m input) Step {
	shell, allow := m.facts.Account.Shell, m.rules.ShellAllow
	switch {
	case allow.Set && slices.Contains(allow.Entries, shell.String()):
		return ok(ShellAllow, "%s is in the list", shell)
	case allow.Set:
		return deny(ShellAllow, "%s is not in the list", shell)
	case slices.Contains(m.facts.Shells, shell):
		return ok(ShellAllow, "%s is in /etc/shells", shell)
	}
	return deny(ShellAllow, "the list is not set and %s is not in /etc/shells", shell)
}

func enforceNologin(m input) Step {
	switch {
	case !m.rules.Nologin:
		return skip(EnforceNologin, "not set")
	case m.facts.LoginsOff:
		return deny(EnforceNologin, "/etc/nologin or /run/nologin disables logins")
	}
	return ok(EnforceNologin, "logins are not disabled")
}

func pipelineSource(m input) Step {
	source, allow := m.id.Pipeline.Source, m.rules.PipelineSource
	switch {
	case !allow.Set:
		return skip(PipelineSource, "not set")
	case slices.Contains(allow.Entries, source):
		return ok(PipelineSource, "%q is in the list", source)
	}
	return deny(PipelineSource, "%q is not in the list", source)
}

func projectBlocked(m input) Step {
	project, block := m.id.Project.Path, m.rules.ProjectBlock
	if len(block) == 0 {
		return skip(ProjectBlock, "not set")
	}
	if g, found := firstMatch(block, project); found {
		return deny(ProjectBlock, "%q matches %q", project, g)
	}
	return ok(ProjectBlock, "%q matches no entry", project)
}

func projectAllowed(m input) Step {
	project, allow := m.id.Project.Path, m.rules.ProjectAllow
	if !allow.Set {
		return skip(ProjectAllow, "not set")
	}
	if g, found := firstMatch(allow.Entries, project); found {
		return ok(ProjectAllow, "%q matches %q", project, g)
	}
	return deny(ProjectAllow, "%q matches no entry", project)
}

func firstMatch(list []glob.Pattern, project string) (glob.Pattern, bool) {
	i := slices.IndexFunc(list, func(g glob.Pattern) bool { return g.Match(project) })
	if i < 0 {
		return glob.Pattern{}, false
	}
	return list[i], true
}

func protectedRefs(m input) Step {
	switch {
	case !m.rules.ProtectedRefs:
		return skip(ProtectedRefs, "not set")
	case m.id.Ref.Protected:
		return ok(ProtectedRefs, "%q is protected", m.id.Ref.Name)
	}
	return deny(ProtectedRefs, "%q is not protected", m.id.Ref.Name)
}
