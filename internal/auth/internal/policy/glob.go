package policy

import (
	"fmt"
	"path"
	"strings"

	"jacamar-ci/internal/job"
)

// Glob is a pattern for the full path of a project. Each part between slashes is a
// pattern of path.Match; a part "**" matches any number of parts, also none. So
// "hpc/*" matches the projects directly in the group hpc, "hpc/**" all projects below
// it, "**/spack" every project of that name.
//
// Case is ignored: GitLab treats paths that differ only in case as the same, and its
// users may change the case of theirs.
type Glob struct {
	text  string
	parts []string
}

const anyDepth = "**"

// globLength bounds a pattern in bytes; paths of GitLab are shorter.
const globLength = 1024

// ParseGlob reads a pattern.
func ParseGlob(s string) (Glob, error) {
	if len(s) > globLength || job.Printable(s) != s {
		return Glob{}, fmt.Errorf("the pattern %q is too long or has control characters", job.Clip(s))
	}
	parts := strings.Split(strings.ToLower(s), "/")
	for _, p := range parts {
		if p == "" {
			return Glob{}, fmt.Errorf("the pattern %q has an empty part", job.Clip(s))
		}
		if p != anyDepth && strings.Contains(p, anyDepth) {
			return Glob{}, fmt.Errorf("the pattern %q has \"**\" next to other characters", job.Clip(s))
		}
		if _, err := path.Match(p, ""); err != nil {
			return Glob{}, fmt.Errorf("the pattern %q is incomplete: unterminated \"[\" or \"\\\"", job.Clip(s))
		}
	}
	return Glob{s, parts}, nil
}

// String returns the pattern as it was written.
func (g Glob) String() string { return g.text }

// Match reports whether the pattern covers the whole of a project's path.
func (g Glob) Match(project string) bool {
	return matchParts(g.parts, strings.Split(strings.ToLower(project), "/"))
}

// matchParts backtracks only to the latest "**": what an earlier one could match, the
// latest can match as well. The time is bounded by the product of the two lengths.
func matchParts(pattern, parts []string) bool {
	star, from := -1, 0
	p, i := 0, 0
	for i < len(parts) {
		switch {
		case p < len(pattern) && pattern[p] == anyDepth:
			star, from = p, i
			p++
		case p < len(pattern) && matchPart(pattern[p], parts[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == anyDepth {
		p++
	}
	return p == len(pattern)
}

func matchPart(pattern, part string) bool {
	// The only error is a malformed pattern, which ParseGlob has refused.
	matched, _ := path.Match(pattern, part)
	return matched
}
