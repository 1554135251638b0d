package image

import (
	"errors"
	"slices"
	"strings"

	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/job"
)

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
