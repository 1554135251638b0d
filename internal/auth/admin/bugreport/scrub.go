package bugreport

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// removed stands where a secret was.
const removed = "(removed)"

// Secrets are texts that must not be in the archive.
type Secrets struct{ known []string }

// leastSecret is the shortest text that is taken out everywhere, in bytes: a shorter one
// would be found in words.
const leastSecret = 6

// Add adds a secret, and each of its lines.
func (s *Secrets) Add(text string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(line) >= leastSecret && !slices.Contains(s.known, line) {
			s.known = append(s.known, line)
		}
	}
	// Longer ones first: one can be a part of another.
	slices.SortStableFunc(s.known, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

// forms are secrets that are known by their form: JSON Web Tokens (RFC 7519), tokens of
// GitLab (docs.gitlab.com/security/tokens), user and password in a URL (RFC 3986), and
// values of names that are for secrets.
var forms = sync.OnceValue(func() []form {
	return []form{
		{regexp.MustCompile(`eyJ[A-Za-z0-9_-]{6,}(\.[A-Za-z0-9_-]*){0,2}`), removed},
		{regexp.MustCompile(`\b(gl[a-z]{2,8}-[A-Za-z0-9_.-]{8,}|GR1348941[A-Za-z0-9_-]{8,})`), removed},
		{regexp.MustCompile(`([a-z][a-z0-9+.-]*://)[^/\s"'@]*@`), "${1}" + removed + "@"},
		{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), removed},
		{regexp.MustCompile(`(?i)(\b[a-z0-9_-]*(password|passwd|secret|token|api_?key|private_?key)[a-z0-9_]*\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;"']+)`), "${1}" + removed},
		{regexp.MustCompile(`(?i)(authorization:\s*\S+\s+|bearer\s+)\S+`), "${1}" + removed},
	}
})

type form struct {
	pattern *regexp.Regexp
	with    string
}

// Scrub takes all secrets out of a text.
func (s Secrets) Scrub(text string) string {
	for _, secret := range s.known {
		text = strings.ReplaceAll(text, secret, removed)
	}
	for _, f := range forms() {
		text = f.pattern.ReplaceAllString(text, f.with)
	}
	return text
}
