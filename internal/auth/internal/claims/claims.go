// Package claims holds what a verified id_token says of a job: who caused it,
// where it runs, and from which pipeline. It decides nothing.
//
// The claims are those of
// https://docs.gitlab.com/ci/secrets/id_token_authentication/. Every text is
// bounded in length and free of control characters once it stands here; the
// package idtoken, which makes these values, has refused the rest.
package claims

import (
	"time"

	"jacamar-ci/internal/job"
)

// Identity is the verified claims of one id_token.
type Identity struct {
	JobID job.ID
	// Project is the project in which the job runs. Its path is "" where GitLab
	// does not say (a fork's merge request before 18.3).
	Project Project
	// Source is the project that the pipeline's code comes from. It differs from
	// Project in a merge request pipeline of a fork.
	Source Project
	// Namespace is what Project belongs to; zero where GitLab does not say
	// (a fork's merge request before 18.3).
	Namespace Namespace
	Pipeline  Pipeline
	User      User
	Ref       Ref
	// RunnerID is the runner that GitLab gave the job to; 0 when GitLab is older
	// than 16.0 and does not say.
	RunnerID job.ID
	// Environment is the deployment environment of the job, "" for none.
	Environment string
	Token       Token
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
	Name string
	// Type is branch or tag.
	Type string
	// Path is the full name, such as refs/heads/main; "" before GitLab 16.0.
	Path      string
	Protected bool
}

// Token identifies the token itself.
type Token struct {
	// ID is the jti claim. GitLab makes one token a job, so it names one job's
	// token permanently and can stand in a log.
	ID        string
	Issuer    string
	IssuedAt  time.Time
	NotBefore time.Time
	Expires   time.Time
}

// Fork reports whether the code comes from another project than the one whose
// runners and variables the job uses.
func (id Identity) Fork() bool { return id.Source.ID != id.Project.ID }
