package job

import (
	"fmt"
	"strings"
)

// Env is one environment variable.
type Env struct{ name, value string }

// ParseEnv reads "NAME=value". The name is that of a shell variable, the value
// any text without NUL.
func ParseEnv(pair string) (Env, error) {
	name, value, ok := strings.Cut(pair, "=")
	switch {
	case !ok:
		return Env{}, fmt.Errorf("%q is not of the form NAME=value", Clip(pair))
	case !made(name, "_") || digit(name[0]):
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
