package failure

import (
	"errors"
	"fmt"
)

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

// Public reports whether err has a text that is meant for its user. One that nobody
// classified has none: its words are those of the inside.
func Public(err error) bool {
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
