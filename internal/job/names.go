// Package job holds the values that all programs share: job and account
// identities, stages, paths, secrets and environment pairs.
//
// Each type is checked once, by its constructor or when it is decoded. Code that
// receives a value need not check it again. The package does no input or output
// and imports only the standard library.
package job

import (
	"fmt"
	"path"
	"strings"
)

// Username is the name of a local account.
//
// The form is the portable one of useradd(8), extended by upper case and by the
// dot, "@" and backslash that directory services use. It never starts with a
// dash or a dot and is never a number, so it is safe in a path or an argument
// list.
type Username struct{ name string }

const usernameLength = 256

// ParseUsername checks the form of a name, not whether the account exists.
func ParseUsername(s string) (Username, error) {
	switch {
	case s == "":
		return Username{}, fmt.Errorf("the account name is empty")
	case len(s) > usernameLength:
		return Username{}, fmt.Errorf("the account name %q is longer than %d bytes", Clip(s), usernameLength)
	case looksNumeric(s):
		return Username{}, fmt.Errorf("the account name %q is a number", Clip(s))
	case !onlyAlnum(s, `_.@\-`) || (!isAlnum(s[0]) && s[0] != '_') || strings.Contains(s, ".."):
		return Username{}, fmt.Errorf("the account name %q has a character that account names do not have", Clip(s))
	}
	return Username{s}, nil
}

// looksNumeric reports whether a tool could take s for a user id: 1000, 0x3e8, 0x.
func looksNumeric(s string) bool {
	if hex, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(s, "0123456789") == ""
}

// String returns the name, "" for the zero value.
func (u Username) String() string { return u.name }

// MarshalText implements encoding.TextMarshaler.
func (u Username) MarshalText() ([]byte, error) { return []byte(u.name), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseUsername's checks.
func (u *Username) UnmarshalText(b []byte) (err error) {
	*u, err = ParseUsername(string(b))
	return err
}

// Account is a local account as the name service describes it (passwd(5),
// initgroups(3)).
type Account struct {
	Name   Username `json:"name"`
	UID    UID      `json:"uid"`
	GID    GID      `json:"gid"`
	Groups GIDs     `json:"groups"`
	Home   AbsPath  `json:"home"`
	Shell  AbsPath  `json:"shell"`
}

// Nobody, as user or group id, stands for unmapped accounts, and for root on NFS. Several
// services run with it, so that it separates nothing (user_namespaces(7)).
const Nobody = 65534

// NoLogin reports whether the login shell refuses every login (nologin(8),
// false(1)).
func (a Account) NoLogin() bool {
	shell := path.Base(a.Shell.String())
	return shell == "nologin" || shell == "false"
}

// Env is one environment variable.
type Env struct{ name, value string }

// ParseEnv reads "NAME=value". The name must be valid for a shell variable; the
// value is any text without NUL.
func ParseEnv(pair string) (Env, error) {
	name, value, ok := strings.Cut(pair, "=")
	switch {
	case !ok:
		return Env{}, fmt.Errorf("%q is not of the form NAME=value", Clip(pair))
	case !onlyAlnum(name, "_") || isDigit(name[0]):
		return Env{}, fmt.Errorf("%q is not a variable name", Clip(name))
	case strings.ContainsRune(value, 0):
		return Env{}, fmt.Errorf("the value of %s has a NUL byte", name)
	}
	return Env{name, value}, nil
}

// Name returns the variable's name.
func (e Env) Name() string { return e.name }

// Value returns the variable's value.
func (e Env) Value() string { return e.value }

// String returns "NAME=value".
func (e Env) String() string { return e.name + "=" + e.value }

// MarshalText implements encoding.TextMarshaler.
func (e Env) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseEnv's checks.
func (e *Env) UnmarshalText(b []byte) (err error) {
	*e, err = ParseEnv(string(b))
	return err
}

// AbsPath is an absolute, cleaned path without control characters.
type AbsPath struct{ p string }

// pathLength is PATH_MAX of limits.h, including the terminating NUL.
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

// Join adds elements below p. The result is checked like any other path: an
// element cannot leave p by "..".
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
