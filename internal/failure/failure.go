// Package failure sorts what can go wrong by who has to act on it, and says
// once, in one switch each, which exit status and which words follow.
package failure

import (
	"errors"
	"fmt"
)

// Kind is who has to act. The zero value is System: an error nobody classified
// is never blamed on the job's author.
type Kind uint8

const (
	// System is a fault of the resource; GitLab may retry the job.
	System Kind = iota
	// Build is a fault of the job: its script failed, or asked for the impossible.
	Build
	// Denied is a job that the site's rules refuse.
	Denied
	// Config is a fault in the administrator's files.
	Config
)

// Error is a classified failure. Public is the line that the job log shows;
// Hint, optional, is the line after it: what to do. Cause, optional, is for the
// operator alone.
type Error struct {
	Kind   Kind
	Code   int // exit code of the job's script, for Build; 0 means none is known
	Public string
	Hint   string
	Cause  error
	// publicHasCause says that Public already has the cause's text in it, apart that it is
	// no part of what the operator reads.
	publicHasCause, privateCause bool
}

// Error returns the full text, for the operator.
func (e *Error) Error() string {
	switch {
	case e.Cause == nil || e.publicHasCause:
		return e.Public
	case e.Public == "" || e.privateCause:
		return e.Cause.Error()
	}
	return e.Public + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Systemf is a fault of the resource whose text the job's author may read.
func Systemf(format string, args ...any) *Error { return publicf(System, format, args) }

// Buildf is a fault of the job without an exit code of its own.
func Buildf(format string, args ...any) *Error { return publicf(Build, format, args) }

// Exit is the failure of the job's script with its exit code, 1 to 255.
func Exit(code int) *Error {
	return &Error{Kind: Build, Code: code, Public: fmt.Sprintf("the job's script ended with exit code %d", code)}
}

// Deniedf is a refusal. The text goes to the operator only.
func Deniedf(format string, args ...any) *Error { return privatef(Denied, format, args) }

// Configf is a fault in the administrator's files. The text goes to the
// operator only.
func Configf(format string, args ...any) *Error { return privatef(Config, format, args) }

// Privatef is a fault of the resource whose text goes to the operator only.
func Privatef(format string, args ...any) *Error { return privatef(System, format, args) }

// WithHint returns e with the line that says what to do.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// WithPublic returns e with a line for the job's author. The operator still reads
// the cause alone, which may say more.
func (e *Error) WithPublic(format string, args ...any) *Error {
	e.Public, e.privateCause = fmt.Sprintf(format, args...), true
	return e
}

func publicf(k Kind, format string, args []any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Public: err.Error(), Cause: err, publicHasCause: true}
}

func privatef(k Kind, format string, args []any) *Error {
	return &Error{Kind: k, Cause: fmt.Errorf(format, args...)}
}

// KindOf returns the kind of err; System when nothing in its chain is an Error.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return System
}

// String returns the kind's name in the operator's records.
func (k Kind) String() string {
	switch k {
	case Build:
		return "build"
	case Denied:
		return "denied"
	case Config:
		return "config"
	default:
		return "system"
	}
}

// Codes are the two exit statuses that the runner understands, taken from
// BUILD_FAILURE_EXIT_CODE and SYSTEM_FAILURE_EXIT_CODE. Any other status is
// "unknown" to it. Source: https://docs.gitlab.com/runner/executors/custom/
type Codes struct {
	Build  int
	System int
}

// DefaultCodes are the runner's present values, for a call without it.
func DefaultCodes() Codes { return Codes{Build: 1, System: 2} }

// Status returns the exit status that stands for err. Only a Build failure is
// the job author's; everything else asks for an administrator.
func (c Codes) Status(err error) int {
	switch {
	case err == nil:
		return 0
	case KindOf(err) == Build:
		return c.Build
	default:
		return c.System
	}
}

// ScriptCode returns the job script's own exit code when err carries one.
func ScriptCode(err error) (code int, ok bool) {
	var e *Error
	if errors.As(err, &e) && e.Kind == Build && e.Code != 0 {
		return e.Code, true
	}
	return 0, false
}

// HasPublicText reports whether err has a text that is meant for its user. One that nobody
// classified has none: its words are those of the inside.
func HasPublicText(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Public != ""
}

// ForUser returns what the job log shows of err: one line and, where there is
// one, the hint. Without full, a text that is the operator's stays hidden
// behind words that lead the user to one; quote is what the user is asked to
// quote, such as "job 123".
func ForUser(err error, full bool, quote string) (line, hint string) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Cause: err}
	}
	switch {
	case full:
		return e.Error(), e.Hint
	case e.Public != "":
		return e.Public, e.Hint
	case e.Kind == Denied:
		return "you are not allowed to run CI jobs on this resource", fmt.Sprintf("ask its administrators, quoting %s", quote)
	case e.Kind == Config:
		return "this CI resource is not set up correctly", fmt.Sprintf("ask its administrators, quoting %s", quote)
	default:
		return "this CI resource could not run the job", fmt.Sprintf("retry it; if that fails as well, ask its administrators, quoting %s", quote)
	}
}
