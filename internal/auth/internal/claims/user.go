package claims

import (
	"strings"

	"jacamar-ci/internal/job"
)

// User is the user of GitLab who caused the job: who pushed, clicked, owns the
// schedule or the trigger.
type User struct {
	ID job.ID
	// Login is the user's name at GitLab at the time of the job. Users may be
	// able to rename themselves.
	Login string
	// Email is the user's primary address, "" when the claim is absent.
	Email string
	// AccessLevel is the user's role in the project, such as developer; "" before
	// GitLab 16.9.
	AccessLevel string
	// Identities are the user's accounts at external providers. GitLab sends
	// them only for users who switched that on.
	Identities []External
	// Groups are the paths of the groups that the user is a direct member of;
	// empty when GitLab does not send them.
	Groups []string
}

// External is a user's account at an external provider, such as LDAP.
type External struct {
	Provider  string
	ExternUID string
}

// External returns the user's external id at a provider. Two accounts at one
// provider, as group SAML can give, are no answer.
func (u User) External(provider string) (externUID string, ok bool) {
	for _, e := range u.Identities {
		if e.Provider != provider {
			continue
		}
		if ok {
			return "", false
		}
		externUID, ok = e.ExternUID, true
	}
	return externUID, ok
}

// Bot reports whether the user looks like an account that GitLab made for a
// project, a group, a service or itself. Makers of service accounts can choose
// a name and an address that look like a person's: a "no" is not a proof.
//
// The forms are those of
// https://docs.gitlab.com/user/project/settings/project_access_tokens/,
// https://docs.gitlab.com/user/profile/service_accounts/ and
// https://docs.gitlab.com/administration/internal_users/.
func (u User) Bot() bool {
	login := strings.ToLower(u.Login)
	// A service account may carry any name; its address keeps the form unless its
	// maker gives it another.
	mailbox, _, _ := strings.Cut(strings.ToLower(u.Email), "@")
	return generated(login) || generated(mailbox) || internal(login)
}

// generated tells names like project_12_bot_0a1b and service_account_0a1b.
func generated(name string) bool {
	if strings.HasPrefix(name, "service_account") {
		return true
	}
	rest, ok := strings.CutPrefix(name, "project_")
	if !ok {
		rest, ok = strings.CutPrefix(name, "group_")
	}
	afterID := strings.TrimLeft(rest, "0123456789")
	return ok && afterID != rest && strings.HasPrefix(afterID, "_bot")
}

// internal tells the users that GitLab makes for itself. It appends a number to
// a name that is taken.
func internal(login string) bool {
	switch strings.TrimRight(login, "0123456789") {
	case "ghost", "alert-bot", "support-bot", "migration-bot", "automation-bot", "visual-review-bot", "gitlabduo":
		return true
	}
	return strings.HasPrefix(login, "gitlab-") && strings.Contains(login, "-bot")
}
