package idtoken

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/job"
)

// bind reads the claims about the job and compares them with the job that GitLab gave
// to this runner, so that the token of any other job is useless here.
func bind(c *claimSet, token claims.Token, rules Rules, expected claims.Expected) (claims.Identity, error) {
	// GitLab signs the ID tokens of user logins with a key of the same set.
	if !c.has("job_id") {
		return claims.Identity{}, refuse(RuleLogin, "not a CI job token; GitLab issues such tokens for logins")
	}
	id := readIdentity(c, expected)
	id.Token = token
	if c.err != nil {
		return claims.Identity{}, c.err
	}
	if err := checkJob(id, rules, expected); err != nil {
		return claims.Identity{}, err
	}
	return id, nil
}

func readIdentity(c *claimSet, expected claims.Expected) claims.Identity {
	project, source, namespace := projects(c, expected)
	return claims.Identity{
		JobID:     c.id("job_id"),
		Project:   project,
		Source:    source,
		Namespace: namespace,
		Pipeline:  claims.Pipeline{ID: c.id("pipeline_id"), Source: c.text("pipeline_source", nameLength)},
		User: claims.User{
			ID:         c.id("user_id"),
			Login:      c.text("user_login", nameLength),
			Email:      c.optional("user_email", pathLength),
			Identities: c.externals("user_identities"),
		},
		Ref:      claims.Ref{Name: c.text("ref", pathLength), Protected: c.flag("ref_protected")},
		RunnerID: c.number("runner_id"),
	}
}

// projects returns the project of the job and that of its code. GitLab sends both
// since 18.3. Before, the one claim was that of the fork (18.2.2) or of the job
// (earlier). If it differs from the expected project it can only be a fork, and the
// path and namespace of the job's project are unknown.
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

// checkJob skips expected values that an old runner does not pass on (0).
func checkJob(id claims.Identity, rules Rules, expected claims.Expected) error {
	switch {
	case expected.ProjectID == 0:
		return refuse(RuleProject, "the job response has no project id")
	case id.JobID != expected.JobID:
		return refuse(RuleJob, "issued for job %s, want job %s", id.JobID, expected.JobID)
	case id.Project.ID != expected.ProjectID:
		return refuse(RuleProject, "issued for project %s, want project %s", id.Project.ID, expected.ProjectID)
	case id.Fork() && !rules.AllowForks:
		return refuse(RuleFork, "the code comes from the fork %q (project %s)", id.Source.Path, id.Source.ID)
	case expected.PipelineID != 0 && id.Pipeline.ID != expected.PipelineID:
		return refuse(RulePipeline, "issued for pipeline %s, want pipeline %s", id.Pipeline.ID, expected.PipelineID)
	case expected.UserID != 0 && id.User.ID != expected.UserID:
		return refuse(RuleUser, "issued for user %s, want user %s", id.User.ID, expected.UserID)
	case expected.ScopedUserID != 0:
		return refuse(RuleComposite, "a service account acts for user %s", expected.ScopedUserID)
	case len(rules.RunnerIDs) > 0 && !slices.Contains(rules.RunnerIDs, id.RunnerID):
		return refuse(RuleRunner, "runner %s is not in auth.runner_ids", id.RunnerID)
	}
	return nil
}

// Longest texts in bytes: of a name (GitLab's columns have 255 characters) and of a
// path or URL.
const (
	nameLength = 255
	pathLength = 4096
)

// lastSecond is the end of the year 9999, the last that RFC 3339 can write.
const lastSecond = 253402300799

// claimSet reads typed values from a token's payload. The first claim of a wrong type
// is kept as the error. Absent and null are the same: GitLab writes null for unknown
// values.
type claimSet struct {
	values map[string]any
	err    error
}

func (c *claimSet) fail(name, problem string) {
	if c.err == nil {
		c.err = refuse(RuleClaims, "%s %s", name, problem)
	}
}

func (c *claimSet) has(name string) bool { return c.values[name] != nil }

// text reads a required text.
func (c *claimSet) text(name string, limit int) string {
	s := c.optional(name, limit)
	if s == "" {
		c.fail(name, "is missing or empty")
	}
	return s
}

// optional reads a text that may be absent.
func (c *claimSet) optional(name string, limit int) string {
	if !c.has(name) {
		return ""
	}
	return c.boundedText(name, c.values[name], limit)
}

// boundedText reads every text: it must be printable and at most limit bytes long.
func (c *claimSet) boundedText(name string, value any, limit int) string {
	s, ok := value.(string)
	switch {
	case !ok:
		c.fail(name, "is not a text")
	case len(s) > limit:
		c.fail(name, "is longer than "+strconv.Itoa(limit)+" bytes")
	case job.Printable(s) != s:
		c.fail(name, "has control characters")
	default:
		return s
	}
	return ""
}

// id reads a required id, which GitLab writes as a string.
func (c *claimSet) id(name string) job.ID {
	s, _ := c.values[name].(string)
	id, err := job.ParseID(s)
	if err != nil {
		c.fail(name, "is not an id")
	}
	return id
}

// number reads the one optional id that GitLab writes as a number.
func (c *claimSet) number(name string) job.ID {
	if n, ok := c.values[name].(json.Number); ok {
		id, err := job.ParseID(n.String())
		if err != nil {
			c.fail(name, "is not an id")
		}
		return id
	}
	if !c.has(name) {
		return 0
	}
	return c.id(name)
}

// flag reads a required boolean, which GitLab writes as a string.
func (c *claimSet) flag(name string) bool {
	switch c.values[name] {
	case true, "true":
		return true
	case false, "false":
		return false
	}
	c.fail(name, "is neither true nor false")
	return false
}

// second reads a required NumericDate in whole seconds (RFC 7519 section 2).
func (c *claimSet) second(name string) time.Time {
	n, _ := c.values[name].(json.Number)
	s, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || s < 0 || s > lastSecond {
		c.fail(name, "is not a time in whole seconds")
		return time.Time{}
	}
	return time.Unix(s, 0)
}

// list reads an optional list.
func (c *claimSet) list(name string) []any {
	l, ok := c.values[name].([]any)
	if !ok && c.has(name) {
		c.fail(name, "is not a list")
	}
	return l
}

// externals reads user_identities. It omits an entry without an id, which an
// incomplete link leaves.
func (c *claimSet) externals(name string) []claims.External {
	var all []claims.External
	for _, v := range c.list(name) {
		entry, _ := v.(map[string]any)
		e := claims.External{
			Provider:  c.boundedText(name, entry["provider"], nameLength),
			ExternUID: c.boundedText(name, entry["extern_uid"], pathLength),
		}
		if e.Provider != "" && e.ExternUID != "" {
			all = append(all, e)
		}
	}
	return all
}
