package job

import (
	"fmt"
	"path"
	"strings"
)

// AbsPath is an absolute, cleaned path without control characters.
type AbsPath struct{ p string }

// pathLength is PATH_MAX of limits.h, its terminating NUL included.
const pathLength = 4096

// ParseAbsPath accepts an absolute path that is already in its shortest form.
func ParseAbsPath(s string) (AbsPath, error) {
	switch {
	case s == "":
		return AbsPath{}, fmt.Errorf("the path is empty")
	case !strings.HasPrefix(s, "/"):
		return AbsPath{}, fmt.Errorf("the path %q is not absolute", Clip(s))
	case len(s) >= pathLength:
		return AbsPath{}, fmt.Errorf("the path %q is longer than %d bytes", Clip(s), pathLength-1)
	case Printable(s) != s:
		return AbsPath{}, fmt.Errorf("the path %q has control characters", Clip(s))
	case strings.Contains(s+"/", "/../"):
		return AbsPath{}, fmt.Errorf("the path %q has a \"..\" in it", Clip(s))
	}
	return AbsPath{path.Clean(s)}, nil
}

// String returns the path, "" for the zero value.
func (p AbsPath) String() string { return p.p }

// IsZero reports whether the path was never set.
func (p AbsPath) IsZero() bool { return p.p == "" }

// Join adds elements below p. The result is checked like any other path, so an
// element cannot climb out.
func (p AbsPath) Join(elem ...string) (AbsPath, error) {
	return ParseAbsPath(p.p + "/" + strings.Join(elem, "/"))
}

// MarshalText implements encoding.TextMarshaler.
func (p AbsPath) MarshalText() ([]byte, error) { return []byte(p.p), nil }

// UnmarshalText implements encoding.TextUnmarshaler; empty text is the zero value.
func (p *AbsPath) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*p = AbsPath{}
		return nil
	}
	*p, err = ParseAbsPath(string(b))
	return err
}
