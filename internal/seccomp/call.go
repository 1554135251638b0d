package seccomp

import (
	"fmt"
	"slices"

	"jacamar-ci/internal/job"
)

// Call is a system call that this machine's architecture has.
type Call struct {
	name   string
	number uint32
}

// ParseCall finds a system call by its name, as in syscalls(2).
func ParseCall(name string) (Call, error) {
	i := slices.IndexFunc(calls[:], func(c Call) bool { return c.name == name })
	if i < 0 {
		return Call{}, fmt.Errorf("%q is not a system call of this machine's architecture", job.Clip(name))
	}
	return calls[i], nil
}

// String returns the name.
func (c Call) String() string { return c.name }

// MarshalText implements encoding.TextMarshaler.
func (c Call) MarshalText() ([]byte, error) { return []byte(c.name), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseCall's check.
func (c *Call) UnmarshalText(b []byte) (err error) {
	*c, err = ParseCall(string(b))
	return err
}
