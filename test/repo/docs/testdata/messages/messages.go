// Package messages has each form in which a program makes a message.
package messages

import (
	"fmt"

	"jacamar-ci/internal/failure"
)

type writer interface {
	Warn(format string, args ...any)
}

func outer(format string, args ...any) error { return inner(1, format, args...) }

func inner(_ int, format string, args ...any) error { return failure.Buildf(format, args...) }

// Each makes all of them.
func Each(log writer, err error) {
	_ = failure.Systemf("cannot do %s: %w", "x", err)
	_ = failure.Deniedf("only for the operator").WithPublic("the text for the user" + " is joined")
	log.Warn("a warning of %04d bytes", 1)
	_ = failure.Privatef("%w", err)
	text := "a local text %s"
	_ = failure.Systemf(text, "x")
	_ = &failure.Error{Public: fmt.Sprintf("a field %q of a literal", "x")}
	_ = outer("by a wrapper of a wrapper %[1]v", 1)
}
