package auth

import (
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
)

// matches reports whether a rule is for this job. Project and namespace are those of
// its token.
func matches(r config.Rule, id claims.Identity, account job.Username) bool {
	switch {
	case r.User != (job.Username{}) && r.User != account:
		return false
	case r.RefProtected != nil && *r.RefProtected != id.Ref.Protected:
		return false
	case !r.Project.IsZero() && !r.Project.Match(id.Project.Path):
		return false
	}
	return r.Namespace.IsZero() || r.Namespace.Match(id.Namespace.Path)
}
