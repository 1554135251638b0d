package runas

import (
	"strconv"
	"strings"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

const (
	claimPrefix    = "JWT_"
	identityPrefix = claimPrefix + "IDENTITY_"
)

// environment returns the whole environment of the script, each name once: the site's
// variables may replace PATH and LANG, but never a claim.
func (s Script) environment(id claims.Identity) ([]string, error) {
	names, values := []string{"PATH", "LANG"}, map[string]string{"PATH": "/usr/bin:/bin", "LANG": "C"}
	for _, e := range s.Env {
		if strings.HasPrefix(e.Name(), claimPrefix) {
			return nil, failure.Configf("validation_env sets %s: names that begin with %s are reserved for the token's claims", e.Name(), claimPrefix)
		}
		if _, found := values[e.Name()]; !found {
			names = append(names, e.Name())
		}
		values[e.Name()] = e.Value()
	}
	var env []string
	for _, n := range names {
		env = append(env, n+"="+values[n])
	}
	env = append(env, claimVariables(id)...)
	env = append(env, identities(id.User)...)
	if uid, found := id.User.External(s.Federated); found && s.Federated != "" {
		env = append(env, claimPrefix+"FEDERATED_UID="+uid)
	}
	return env, nil
}

// claimVariables are the verified claims of the token. A claim that GitLab did not send
// is empty.
func claimVariables(id claims.Identity) []string {
	return []string{
		"JWT_USER_LOGIN=" + id.User.Login,
		"JWT_USER_EMAIL=" + id.User.Email,
		"JWT_USER_ID=" + number(id.User.ID),
		"JWT_NAMESPACE_ID=" + number(id.Namespace.ID),
		"JWT_PROJECT_ID=" + number(id.Project.ID),
		"JWT_PROJECT_PATH=" + id.Project.Path,
		"JWT_JOB_ID=" + number(id.JobID),
		"JWT_PIPELINE_ID=" + number(id.Pipeline.ID),
		"JWT_PIPELINE_SOURCE=" + id.Pipeline.Source,
		"JWT_ISS=" + id.Token.Issuer,
		"JWT_REF=" + id.Ref.Name,
		"JWT_REF_PROTECTED=" + strconv.FormatBool(id.Ref.Protected),
	}
}

func number(id job.ID) string {
	if id == 0 {
		return ""
	}
	return id.String()
}

// identities are the user's accounts at external providers, one variable for each
// provider. If two accounts would share a variable, it is omitted, because a script
// could not determine which account it has.
func identities(u claims.User) []string {
	seen := map[string]int{}
	for _, e := range u.Identities {
		seen[variable(e.Provider)]++
	}
	var env []string
	for _, e := range u.Identities {
		if name := variable(e.Provider); seen[name] == 1 {
			env = append(env, name+"="+e.ExternUID)
		}
	}
	return env
}

// variable returns the provider's name in upper case, with "_" for characters that
// the name of a variable cannot have.
func variable(provider string) string {
	return identityPrefix + strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return '_'
	}, provider)
}
