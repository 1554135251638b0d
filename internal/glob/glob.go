// Package glob matches paths of projects and namespaces with patterns.
package glob

import (
	"fmt"
	"path"
	"strings"

	"jacamar-ci/internal/job"
)

// Pattern is a pattern for the full path of a project. Each part between slashes is a
// pattern of path.Match; a part "**" matches any number of parts, also none. So
// "hpc/*" matches the projects directly in the group hpc, "hpc/**" all projects below
// it, "**/spack" every project of that name. The zero value matches nothing.
//
// Case is ignored: GitLab treats paths that differ only in case as the same, and its
// users may change the case of theirs.
type Pattern struct{ text string }

const anyDepth = "**"

// longest bounds a pattern in bytes; paths of GitLab are shorter.
const longest = 1024

// Parse reads a pattern.
func Parse(s string) (Pattern, error) {
	switch {
	case job.Printable(s) != s:
		return Pattern{}, fmt.Errorf("%q has control characters", job.Clip(s))
	case len(s) > longest:
		return Pattern{}, fmt.Errorf("%q is longer than %d bytes", job.Clip(s), longest)
	}
	for part := range strings.SplitSeq(s, "/") {
		switch _, err := path.Match(part, ""); {
		case err != nil:
			return Pattern{}, fmt.Errorf("%q is not a pattern: unterminated \"[\" or \"\\\"", job.Clip(s))
		case part == "":
			return Pattern{}, fmt.Errorf("%q has an empty part: write a path as GitLab shows it, \"group/project\"", job.Clip(s))
		case strings.Contains(part, anyDepth) && part != anyDepth:
			return Pattern{}, fmt.Errorf("%q has \"**\" together with other characters: it stands for whole parts, as in \"group/**\"", job.Clip(s))
		}
	}
	return Pattern{s}, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Pattern) UnmarshalText(b []byte) (err error) {
	*p, err = Parse(string(b))
	return err
}

// IsZero reports whether there is no pattern.
func (p Pattern) IsZero() bool { return p.text == "" }

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Match reports whether the pattern covers the whole of a project's path.
func (p Pattern) Match(project string) bool {
	return !p.IsZero() && matchParts(split(p.text), split(project))
}

// MatchExact is Match for names in which case has a meaning.
func (p Pattern) MatchExact(name string) bool {
	return !p.IsZero() && matchParts(strings.Split(p.text, "/"), strings.Split(name, "/"))
}

func split(path string) []string { return strings.Split(strings.ToLower(path), "/") }

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
	// The only error is a malformed pattern, which Parse has refused.
	matched, _ := path.Match(pattern, part)
	return matched
}
