package failure

import (
	"errors"
	"strings"
)

// stopped begins the line of a job that was stopped from outside of it.
const stopped = "the job was stopped"

// Stopped is the end of a script that was stopped from outside, with its exit code, 1 to
// 255. It is never a success. What is known of the moment follows the text, such as
// "before your login profiles had ended"; "" for nothing.
func Stopped(code int, moment string) *Error {
	e := Exit(code)
	e.Public = strings.TrimSpace(stopped + " " + moment)
	return e
}

// Because completes the line of a job that was stopped by the cause, and by what to do
// about that where the error has no hint. It leaves other errors as they are.
func Because(err error, cause, hint string) error {
	var e *Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Public, stopped) {
		return err
	}
	full := *e
	full.Public, full.publicHasCause = e.Public+": "+cause, true
	if full.Hint == "" {
		full.Hint = hint
	}
	return &full
}
