// Package claims holds the claims of a verified id_token about a job: its user, its
// project and its pipeline. It makes no decisions.
//
// The claims are those of
// https://docs.gitlab.com/ci/secrets/id_token_authentication/. Every text is
// bounded in length and free of control characters: package idtoken, which creates
// these values, refuses the rest.
package claims

import (
	"strings"
	"time"

	"jacamar-ci/internal/job"
)

// Identity is the verified claims of one id_token.
type Identity struct {
	JobID job.ID
	// Project is the project in which the job runs. Its path is "" if GitLab does not
	// send it (for the merge request of a fork before 18.3).
	Project Project
	// Source is the project that the pipeline's code comes from. It differs from
	// Project in a merge request pipeline of a fork.
	Source Project
	// Namespace is that of Project; zero if GitLab does not send it (for the merge
	// request of a fork before 18.3).
	Namespace Namespace
	Pipeline  Pipeline
	User      User
	Ref       Ref
	// RunnerID is the runner that GitLab gave the job to; 0 before GitLab 16.0.
	RunnerID job.ID
	Token    Token
}

// Project is a project of GitLab; Path is its full path, "group/project".
type Project struct {
	ID   job.ID
	Path string
}

// Namespace is a group or the personal namespace of a user.
type Namespace struct {
	ID   job.ID
	Path string
}

// Pipeline is the pipeline of the job. Source is the value of
// CI_PIPELINE_SOURCE: push, web, schedule, merge_request_event and others.
type Pipeline struct {
	ID     job.ID
	Source string
}

// Ref is the git reference that the pipeline runs for.
type Ref struct {
	Name      string
	Protected bool
}

// Token identifies the token itself.
type Token struct {
	// ID is the jti claim. GitLab issues one token for each job, so it identifies the
	// token of one job. It is not secret.
	ID        string
	Issuer    string
	IssuedAt  time.Time
	NotBefore time.Time
	Expires   time.Time
}

// Fork reports whether the code comes from another project than the one whose
// runners and variables the job uses.
func (id Identity) Fork() bool { return id.Source.ID != id.Project.ID }

// User is the GitLab user who caused the job by a push or a click or who owns the
// schedule or the trigger.
type User struct {
	ID job.ID
	// Login is the user's name at GitLab at the time of the job. Users may be able to
	// rename themselves.
	Login string
	// Email is the user's primary address, "" when the claim is absent.
	Email string
	// Identities are the user's accounts at external providers. GitLab sends them only
	// for users who enabled that.
	Identities []External
}

// External is a user's account at an external provider, such as LDAP.
type External struct {
	Provider  string
	ExternUID string
}

// External returns the user's external id at a provider. ok is false for a user with
// two accounts at the provider, which group SAML allows.
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

// Bot reports whether the user looks like an account that GitLab created for a
// project, a group, a service or itself. The creator of a service account can choose
// the name and address of a person: false is not a proof.
//
// The forms are those of
// https://docs.gitlab.com/user/project/settings/project_access_tokens/,
// https://docs.gitlab.com/user/profile/service_accounts/ and
// https://docs.gitlab.com/administration/internal_users/.
func (u User) Bot() bool {
	login := strings.ToLower(u.Login)
	// A service account may have any name; its address has the form unless its creator
	// chose another.
	mailbox, _, _ := strings.Cut(strings.ToLower(u.Email), "@")
	return isGeneratedName(login) || isGeneratedName(mailbox) || isInternalUser(login)
}

// isGeneratedName recognizes names like project_12_bot_0a1b and
// service_account_0a1b.
func isGeneratedName(name string) bool {
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

// isInternalUser recognizes the users that GitLab creates for itself. GitLab appends
// a number to a name that is in use.
func isInternalUser(login string) bool {
	switch strings.TrimRight(login, "0123456789") {
	case "ghost", "alert-bot", "support-bot", "migration-bot", "automation-bot", "visual-review-bot", "gitlabduo":
		return true
	}
	return strings.HasPrefix(login, "gitlab-") && strings.Contains(login, "-bot")
}

// Expected is the data about the job that the runner got from GitLab
// (JOB_RESPONSE_FILE, outside its variables). The token must match it.
type Expected struct {
	JobID     job.ID
	ProjectID job.ID
	// PipelineID is 0 if the runner is too old to pass it on (before 19.0).
	PipelineID job.ID
	// UserID is 0 if the runner is too old to pass it on (before 18.5).
	UserID job.ID
	// ScopedUserID is set for a composite identity: a service account that acts for a
	// person. It is 0 otherwise.
	ScopedUserID job.ID
}
