package idtoken

import (
	"slices"

	"jacamar-ci/internal/auth/internal/claims"
)

// bind reads the claims about the job and holds them against the job that
// GitLab gave to this runner. The one comparison of job ids makes the token of
// any other job useless here.
func bind(c *claimSet, token claims.Token, rules Rules, expected claims.Expected) (claims.Identity, error) {
	// GitLab signs the ID tokens of people's logins with a key of the same set.
	if !c.has("job_id") {
		return claims.Identity{}, refuse(RuleLogin, "it is of no CI job; a login gives such tokens")
	}
	id := read(c, expected)
	id.Token = token
	if c.err != nil {
		return claims.Identity{}, c.err
	}
	if err := checkJob(id, rules, expected); err != nil {
		return claims.Identity{}, err
	}
	return id, nil
}

func read(c *claimSet, expected claims.Expected) claims.Identity {
	project, source, namespace := projects(c, expected)
	return claims.Identity{
		JobID:     c.id("job_id"),
		Project:   project,
		Source:    source,
		Namespace: namespace,
		Pipeline:  claims.Pipeline{ID: c.id("pipeline_id"), Source: c.text("pipeline_source", nameLength)},
		User: claims.User{
			ID:          c.id("user_id"),
			Login:       c.text("user_login", nameLength),
			Email:       c.optional("user_email", pathLength),
			AccessLevel: c.optional("user_access_level", nameLength),
			Identities:  c.externals("user_identities"),
			Groups:      c.paths("groups_direct"),
		},
		Ref: claims.Ref{
			Name:      c.text("ref", pathLength),
			Type:      c.text("ref_type", nameLength),
			Path:      c.optional("ref_path", pathLength),
			Protected: c.flag("ref_protected"),
		},
		RunnerID:    c.number("runner_id"),
		Environment: c.optional("environment", pathLength),
	}
}

// projects returns the project of the job and that of its code. GitLab says both
// since 18.3. Before, one claim was the fork's (18.2.2) or the job's (earlier);
// where it is not the expected project, it can only be a fork's, and the job's
// own path and namespace are unknown.
func projects(c *claimSet, expected claims.Expected) (project, source claims.Project, ns claims.Namespace) {
	source = claims.Project{ID: c.id("project_id"), Path: c.text("project_path", pathLength)}
	sourceNS := claims.Namespace{ID: c.id("namespace_id"), Path: c.text("namespace_path", pathLength)}
	switch {
	case c.has("job_project_id"):
		project = claims.Project{ID: c.id("job_project_id"), Path: c.text("job_project_path", pathLength)}
		return project, source, claims.Namespace{ID: c.id("job_namespace_id"), Path: c.text("job_namespace_path", pathLength)}
	case source.ID == expected.ProjectID:
		return source, source, sourceNS
	}
	return claims.Project{ID: expected.ProjectID}, source, claims.Namespace{}
}

// checkJob skips what the runner was too old to pass on (0).
func checkJob(id claims.Identity, rules Rules, expected claims.Expected) error {
	switch {
	case expected.ProjectID == 0:
		return refuse(RuleProject, "GitLab did not say of which project the job is")
	case id.JobID != expected.JobID:
		return refuse(RuleJob, "it is of job %s, not of job %s", id.JobID, expected.JobID)
	case id.Project.ID != expected.ProjectID:
		return refuse(RuleProject, "it is of project %s, not of project %s", id.Project.ID, expected.ProjectID)
	case id.Fork() && !rules.AllowForks:
		return refuse(RuleFork, "the code is that of the fork %q (project %s)", id.Source.Path, id.Source.ID)
	case expected.PipelineID != 0 && id.Pipeline.ID != expected.PipelineID:
		return refuse(RulePipeline, "it is of pipeline %s, not of pipeline %s", id.Pipeline.ID, expected.PipelineID)
	case expected.UserID != 0 && id.User.ID != expected.UserID:
		return refuse(RuleUser, "it is of user %s, not of user %s", id.User.ID, expected.UserID)
	case expected.ScopedUserID != 0:
		return refuse(RuleComposite, "a service account acts for user %s", expected.ScopedUserID)
	case len(rules.RunnerIDs) > 0 && !slices.Contains(rules.RunnerIDs, id.RunnerID):
		return refuse(RuleRunner, "it is for runner %s, which is none of this site's", id.RunnerID)
	}
	return nil
}
