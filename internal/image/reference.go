// Package image holds what an `image:` or `services:` name means, without any
// container engine: references to registries, the configuration of an image, the
// order of pull policies and the credentials for a registry. All of it is pure.
package image

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"jacamar-ci/internal/job"
)

// Reference is the name of an image in a registry, including the parts that Docker adds by
// default, so that an image has the same name for every engine and every rule.
// The grammar is that of the distribution project (reference/reference.go):
//
//	[domain[:port]/]path[:tag][@digest]
type Reference struct {
	domain, path string
	tag          string // "" only where there is a digest
	digest       string // "" or algorithm:hex
}

const (
	defaultDomain = "docker.io"
	legacyDomain  = "index.docker.io"
	officialPath  = "library/"
	defaultTag    = "latest"
	// maxName bounds domain and path together, in bytes, as registries do.
	maxName = 255
	maxTag  = 128
)

// ParseReference parses the name of an image as the docker executor of GitLab Runner does:
// `busybox` is docker.io/library/busybox:latest. It removes the prefix docker:// and rejects
// every other transport.
func ParseReference(name string) (Reference, error) {
	text := strings.TrimPrefix(name, "docker://")
	switch {
	case strings.TrimSpace(text) == "":
		return Reference{}, errors.New("the image has no name")
	case strings.Contains(text, "://"):
		scheme, _, _ := strings.Cut(text, "://")
		return Reference{}, fmt.Errorf("the image %q: the transport %s:// is not supported", job.Clip(name), job.Clip(scheme))
	}
	r, err := parse(text)
	if err != nil {
		return Reference{}, fmt.Errorf("the image %q: %w", job.Clip(name), err)
	}
	return r, nil
}

func parse(text string) (Reference, error) {
	var r Reference
	rest, digest, digested := strings.Cut(text, "@")
	if digested {
		if !IsDigest(digest) {
			return r, errors.New("the part after @ is not a digest such as sha256: and 64 hexadecimal digits")
		}
		r.digest = digest
	}
	rest, r.tag = cutTag(rest)
	if r.tag != "" && !isTag(r.tag) {
		return r, fmt.Errorf("the tag %q is not 1 to %d letters, digits, _, . and -", job.Clip(r.tag), maxTag)
	}
	if strings.HasSuffix(rest, ":") {
		return r, errors.New("the tag is empty")
	}
	if r.tag == "" && !digested {
		r.tag = defaultTag
	}
	r.domain, r.path = splitDomain(rest)
	return r, r.check()
}

// cutTag splits off the tag: the text after the last colon, unless that colon belongs to a
// port.
func cutTag(s string) (rest, tag string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || i == len(s)-1 || strings.IndexByte(s[i:], '/') >= 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}

// splitDomain determines as Docker does whether the first component is a registry: it
// contains a dot, a colon or an upper-case letter, with which alone check rejects it, or is
// localhost.
func splitDomain(s string) (domain, path string) {
	first, rest, found := strings.Cut(s, "/")
	if !found || !strings.ContainsAny(first, ".:") && first != "localhost" && strings.ToLower(first) == first {
		domain, path = defaultDomain, s
	} else {
		domain, path = first, rest
	}
	if domain == legacyDomain {
		domain = defaultDomain
	}
	if domain == defaultDomain && !strings.Contains(path, "/") {
		path = officialPath + path
	}
	return domain, path
}

func (r Reference) check() error {
	switch {
	case len(r.domain)+1+len(r.path) > maxName:
		return fmt.Errorf("the name is longer than %d bytes", maxName)
	case !isDomain(r.domain):
		return fmt.Errorf("%q is not the address of a registry", job.Clip(r.domain))
	case strings.ToLower(r.path) != r.path:
		return fmt.Errorf("%q has upper-case letters, which a repository cannot have", job.Clip(r.path))
	case !strings.ContainsAny(r.domain, ".:") && r.domain != "localhost":
		// Engines differ on whether this is a registry or a part of the repository.
		return fmt.Errorf("%q has upper-case letters, which a repository cannot have, and no dot or port, which a registry has", job.Clip(r.domain))
	}
	for component := range strings.SplitSeq(r.path, "/") {
		if !isComponent(component) {
			return fmt.Errorf("%q is not the name of a repository", job.Clip(r.path))
		}
	}
	return nil
}

// IsZero reports whether r was never set.
func (r Reference) IsZero() bool { return r.domain == "" }

// Name returns registry and repository, as rules and credentials match them.
func (r Reference) Name() string { return r.domain + "/" + r.path }

// Tag returns the tag, "" where the reference has only a digest.
func (r Reference) Tag() string { return r.tag }

// Digest returns algorithm:hex, "" for none.
func (r Reference) Digest() string { return r.digest }

// String returns the whole name.
func (r Reference) String() string {
	s := r.Name()
	if r.tag != "" {
		s += ":" + r.tag
	}
	if r.digest != "" {
		s += "@" + r.digest
	}
	return s
}

// PullName is the reference for programs that refuse both a tag and a digest, such as
// podman 4: it has no tag where it has a digest.
func (r Reference) PullName() string {
	if r.digest != "" {
		return r.Name() + "@" + r.digest
	}
	return r.String()
}

// Pinned returns r with the digest that a registry returned for it, so that a moving tag
// cannot change the image between two stages of a job.
func (r Reference) Pinned(digest string) (Reference, error) {
	if !IsDigest(digest) {
		return Reference{}, fmt.Errorf("%q is not a digest", job.Clip(digest))
	}
	r.digest = digest
	return r, nil
}

// MarshalText implements encoding.TextMarshaler.
func (r Reference) MarshalText() ([]byte, error) {
	if r.IsZero() {
		return nil, nil
	}
	return []byte(r.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler; empty text is the zero value.
func (r *Reference) UnmarshalText(text []byte) (err error) {
	*r = Reference{}
	if len(text) > 0 {
		*r, err = ParseReference(string(text))
	}
	return err
}

// isTag matches [\w][\w.-]{0,127}.
func isTag(s string) bool { return isWord(s, maxTag) }

func isWord(s string, most int) bool {
	return s != "" && len(s) <= most && (alnum(s[0]) || s[0] == '_') && all(s, func(c byte) bool { return alnum(c) || strings.IndexByte("_.-", c) >= 0 })
}

// IsDigest accepts the algorithms that the OCI image specification registers, with
// the number of hexadecimal digits of each.
func IsDigest(s string) bool {
	algorithm, sum, _ := strings.Cut(s, ":")
	size, known := map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}[algorithm]
	return known && len(sum) == size && all(sum, func(c byte) bool { return digit(c) || 'a' <= c && c <= 'f' })
}

// isDomain accepts a host name or an address, with or without a port. The grammar
// has brackets around an address of IP version 6.
func isDomain(s string) bool {
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
		if port == "" || len(port) > 5 || !all(port, digit) {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		address, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && address.Is6() && address.Zone() == "" && strings.HasSuffix(inner, "]")
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || !alnum(label[0]) || !alnum(label[len(label)-1]) || !all(label, func(c byte) bool { return alnum(c) || c == '-' }) {
			return false
		}
	}
	return true
}

// isComponent accepts runs of lower-case letters and digits, with one dot, one or
// two underscores, or any number of dashes between them.
func isComponent(s string) bool {
	for s != "" {
		run := strings.IndexFunc(s, func(r rune) bool { return r > 'z' || !lower(byte(r)) })
		if run < 0 {
			return true
		}
		if run == 0 {
			return false
		}
		rest := strings.TrimLeft(s[run:], "._-")
		if !isSeparator(s[run : len(s)-len(rest)]) {
			return false
		}
		s = rest
	}
	return false
}

func isSeparator(s string) bool {
	return s == "." || s == "_" || s == "__" || s != "" && strings.Trim(s, "-") == ""
}

func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func alnum(c byte) bool { return lower(c) || 'A' <= c && c <= 'Z' }
func lower(c byte) bool { return 'a' <= c && c <= 'z' || digit(c) }
func digit(c byte) bool { return '0' <= c && c <= '9' }
