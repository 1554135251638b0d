package image

import (
	"fmt"
	"slices"
	"strings"
)

// PullPolicy is when an image is fetched; the values are those of `image:pull_policy` in
// .gitlab-ci.yml.
type PullPolicy string

// The policies.
const (
	Always       PullPolicy = "always"
	IfNotPresent PullPolicy = "if-not-present"
	Never        PullPolicy = "never"
)

// podmanPolicies are the values of podman-pull(1), which configurations of the original
// system contain.
var podmanPolicies = map[string]PullPolicy{"missing": IfNotPresent, "newer": Always}

// ParsePullPolicy accepts the values of GitLab and of podman.
func ParsePullPolicy(s string) (PullPolicy, error) {
	if p, ok := podmanPolicies[s]; ok {
		return p, nil
	}
	if p := PullPolicy(s); slices.Contains([]PullPolicy{Always, IfNotPresent, Never}, p) {
		return p, nil
	}
	return "", fmt.Errorf("%q is not a pull policy: write always, if-not-present or never", s)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *PullPolicy) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePullPolicy(string(text))
	return err
}

// PolicyError is the error of a list of policies of which the site allows none.
type PolicyError struct{ Wanted, Allowed []PullPolicy }

// Error contains both lists.
func (e *PolicyError) Error() string {
	return fmt.Sprintf("pull_policy %s is not allowed here; allowed: %s", joinPolicies(e.Wanted), joinPolicies(e.Allowed))
}

func joinPolicies(ps []PullPolicy) string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = string(p)
	}
	return strings.Join(texts, ", ")
}

// EffectivePolicies returns the policies to try, in order: those of the job, or else of
// the site, that the site allows. An empty list of allowed policies means the site's own.
// The rule is that of the docker executor.
func EffectivePolicies(ofJob, ofSite, allowed []PullPolicy) ([]PullPolicy, error) {
	if len(allowed) == 0 {
		allowed = ofSite
	}
	wanted := ofJob
	if len(wanted) == 0 {
		wanted = ofSite
	}
	effective := slices.DeleteFunc(slices.Clone(wanted), func(p PullPolicy) bool { return !slices.Contains(allowed, p) })
	if len(effective) == 0 {
		return nil, &PolicyError{Wanted: wanted, Allowed: allowed}
	}
	return effective, nil
}
