package job

import (
	"fmt"
	"strings"
)

// Username is the name of a local account.
//
// The form is the portable one of useradd(8), widened by upper case and by the
// dot, "@" and backslash that directory services use; it never starts with a
// dash, a dot or a digit-only run that a tool could take for a number, and so
// it can stand in a path or an argument list.
type Username struct{ name string }

const usernameLength = 256

// ParseUsername checks the form of a name; whether the account exists is the
// name service's answer.
func ParseUsername(s string) (Username, error) {
	switch {
	case s == "":
		return Username{}, fmt.Errorf("the account name is empty")
	case len(s) > usernameLength:
		return Username{}, fmt.Errorf("the account name %q is longer than %d bytes", Clip(s), usernameLength)
	case numeric(s):
		return Username{}, fmt.Errorf("the account name %q is a number", Clip(s))
	case !made(s, `_.@\-`) || (!alnum(s[0]) && s[0] != '_') || strings.Contains(s, ".."):
		return Username{}, fmt.Errorf("the account name %q has a character that account names do not have", Clip(s))
	}
	return Username{s}, nil
}

// numeric reports whether a tool could take s for a user id: 1000, 0x3e8, 0x.
func numeric(s string) bool {
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
