package image

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/job"
)

// Request is `image:` of a job.
type Request struct {
	Reference Reference `json:"reference,omitzero"`
	// Path is an image on this host, instead of Reference.
	Path job.AbsPath `json:"path,omitzero"`
	// Entrypoint replaces the image's own; nil keeps it, and [""] means none.
	Entrypoint []string     `json:"entrypoint,omitempty"`
	PullPolicy []PullPolicy `json:"pull_policy,omitempty"`
	// User is `image:docker:user`, Platform `image:docker:platform`; "" for none.
	User     string `json:"user,omitempty"`
	Platform string `json:"platform,omitempty"`
}

// Wish is a Request as the job's author wrote it.
type Wish struct {
	Name           string
	Entrypoint     []string // nil: the image's own
	PullPolicy     []string
	User, Platform string
}

// Bounds of a request.
const (
	maxWords    = 64      // of an entrypoint
	maxWord     = 8 << 10 // all words of an entrypoint together, in bytes
	maxPolicies = 8
	maxShort    = 64 // bytes of a user or a platform
)

// Parse checks the request. The error is for the job's author.
func (w Wish) Parse() (r Request, err error) {
	if strings.HasPrefix(w.Name, "/") {
		r.Path, err = job.ParseAbsPath(w.Name)
	} else {
		r.Reference, err = ParseReference(w.Name)
	}
	if err != nil {
		return Request{}, err
	}
	if err := checkWords(w.Entrypoint); err != nil {
		return Request{}, fmt.Errorf("the entrypoint of the image %s %w", r.Name(), err)
	}
	if len(w.PullPolicy) > maxPolicies {
		return Request{}, fmt.Errorf("pull_policy has more than %d entries", maxPolicies)
	}
	for _, text := range w.PullPolicy {
		p, err := ParsePullPolicy(text)
		if err != nil {
			return Request{}, err
		}
		r.PullPolicy = append(r.PullPolicy, p)
	}
	if !isUser(w.User) {
		return Request{}, fmt.Errorf("docker: user: %q is not a user of an image: write a name or a number, with :group where needed", job.Clip(w.User))
	}
	if !isPlatform(w.Platform) {
		return Request{}, fmt.Errorf("docker: platform: %q is not a platform such as linux/amd64", job.Clip(w.Platform))
	}
	r.Entrypoint, r.User, r.Platform = w.Entrypoint, w.User, w.Platform
	return r, nil
}

func checkWords(words []string) error {
	total := 0
	for _, word := range words {
		if strings.IndexByte(word, 0) >= 0 {
			return fmt.Errorf("contains a NUL byte")
		}
		total += len(word)
	}
	if len(words) > maxWords || total > maxWord {
		return fmt.Errorf("has more than %d words or %d bytes", maxWords, maxWord)
	}
	return nil
}

// isUser accepts user[:group], names or numbers, and "" for none.
func isUser(s string) bool {
	return len(s) <= maxShort && strings.Count(s, ":") <= 1 && !strings.HasPrefix(s, "-") && !strings.HasPrefix(s, ":") &&
		all(s, func(c byte) bool { return alnum(c) || strings.IndexByte("._-:", c) >= 0 })
}

// isPlatform accepts os/architecture[/variant], and "" for none.
func isPlatform(s string) bool {
	if s == "" {
		return true
	}
	parts := strings.Split(s, "/")
	for _, part := range parts {
		if part == "" || !all(part, func(c byte) bool { return alnum(c) || c == '.' || c == '_' }) {
			return false
		}
	}
	return len(s) <= maxShort && len(parts) <= 3
}
