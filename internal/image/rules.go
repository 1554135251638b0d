package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/job"
)

// Rule is the [[container.rule]] that applies to a job.
type Rule struct {
	// Name identifies the rule in messages, "" where none applies.
	Name string
	// Images are the patterns of the images that the job may name; empty for all.
	Images []glob.Pattern
	// Services are the same for images of services.
	Services []glob.Pattern
	// Required reports that the job must run in a container.
	Required bool
}

// Permits reports whether the rule allows a job to name the image. A pattern covers the
// name alone, or the name with its tag. An engine ignores the tag of a reference with a
// digest, so there a pattern has to cover the name alone, or the name with the digest.
func (r Rule) Permits(ref Reference) bool { return permits(r.Images, ref) }

// PermitsService is Permits for the image of a service.
func (r Rule) PermitsService(ref Reference) bool { return permits(r.Services, ref) }

func permits(patterns []glob.Pattern, ref Reference) bool {
	if len(patterns) == 0 {
		return true
	}
	whole := ref.Name() + ":" + ref.Tag()
	if ref.Digest() != "" {
		whole = ref.Name() + "@" + ref.Digest()
	}
	return slices.ContainsFunc(patterns, func(p glob.Pattern) bool { return p.MatchExact(ref.Name()) || p.MatchExact(whole) })
}

// Allowed lists the patterns of images for a message.
func (r Rule) Allowed() string { return job.Listed(r.Images) }

// AllowedServices lists those of images of services.
func (r Rule) AllowedServices() string { return job.Listed(r.Services) }

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
	return fmt.Sprintf("pull_policy %s is not allowed here; allowed: %s", job.Listed(e.Wanted), job.Listed(e.Allowed))
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

// Paths is a pattern of container.local_images: of absolute paths of images on this host.
// Case has a meaning.
type Paths struct{ below glob.Pattern }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Paths) UnmarshalText(text []byte) (err error) {
	rest, absolute := strings.CutPrefix(string(text), "/")
	if !absolute {
		return errors.New("it is not the pattern of an absolute path, such as /apps/images/**")
	}
	p.below, err = glob.Parse(rest)
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (p Paths) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// String returns the pattern as it was written.
func (p Paths) String() string { return "/" + p.below.String() }

// Match reports whether the pattern covers the whole path.
func (p Paths) Match(path job.AbsPath) bool {
	return p.below.MatchExact(strings.TrimPrefix(path.String(), "/"))
}

// PermitsPath reports whether a job may name the path as its image.
func PermitsPath(allowed []Paths, path job.AbsPath) bool {
	return slices.ContainsFunc(allowed, func(p Paths) bool { return p.Match(path) })
}

// Name is how messages and records name the image.
func (r Request) Name() string {
	if !r.Path.IsZero() {
		return r.Path.String()
	}
	return r.Reference.String()
}
