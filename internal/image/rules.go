package image

import (
	"slices"
	"strings"

	"jacamar-ci/internal/glob"
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
func (r Rule) Allowed() string { return list(r.Images) }

// AllowedServices lists those of images of services.
func (r Rule) AllowedServices() string { return list(r.Services) }

func list(patterns []glob.Pattern) string {
	texts := make([]string, len(patterns))
	for i, p := range patterns {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}
