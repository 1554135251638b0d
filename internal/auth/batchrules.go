package auth

import (
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// matches reports whether a rule is for this job. Project and namespace are those
// that the job runs in, by its token.
func matches(r config.Rule, id claims.Identity, account job.Username) (bool, error) {
	if r.User != (job.Username{}) && r.User != account {
		return false, nil
	}
	if r.RefProtected != nil && *r.RefProtected != id.Ref.Protected {
		return false, nil
	}
	for _, want := range []struct {
		glob config.Glob
		path string
	}{{r.Project, id.Project.Path}, {r.Namespace, id.Namespace.Path}} {
		if want.glob == "" {
			continue
		}
		g, err := policy.ParseGlob(string(want.glob))
		if err != nil {
			return false, failure.Configf("cannot use a [[batch.rule]]: %w", err)
		}
		if !g.Match(want.path) {
			return false, nil
		}
	}
	return true, nil
}
