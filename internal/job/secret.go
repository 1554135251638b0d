package job

import (
	"fmt"
	"io"
)

// Secret is text that must never be printed. Every way in which fmt or a JSON
// encoder would show it gives a fixed word; Reveal is the one way to its value.
// The value is behind a pointer because fmt does not ask the methods of a
// struct's unexported fields.
type Secret struct{ s *string }

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{&s} }

const hidden = "[secret]"

// Reveal returns the value.
func (s Secret) Reveal() string {
	if s.s == nil {
		return ""
	}
	return *s.s
}

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Format implements fmt.Formatter for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
