// Package failure classifies failures by who has to act on them. The class decides
// the exit status of a stage and the text that the job log shows.
package failure

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is who has to act. The zero value is System: unclassified errors count as
// system failures and are never attributed to the job's author.
type Kind uint8

const (
	// System is a failure of this CI resource; GitLab may retry the job.
	System Kind = iota
	// Build is a failure of the job: its script failed or made an impossible request.
	Build
	// Denied is a job that the site's rules refuse to run.
	Denied
	// Config is an error in the administrator's files.
	Config
)

// Error is a classified failure. Public is the line that the job log shows. The
// optional Hint is the line after it: what to do. The optional Lines are text to copy
// into a file of the job's author. The optional Cause is only for the operator.
type Error struct {
	Kind Kind
	// Temporary is a refusal (Denied) by the present state of this resource: the same
	// job may be accepted later.
	Temporary bool
	Code      int // exit code of the job's script, for Build; 0 if unknown
	Public    string
	Hint      string
	Lines     []string
	Cause     error
	// publicHasCause: Public already contains the text of Cause. privateCause: the
	// operator reads only Cause, without Public.
	publicHasCause, privateCause bool
}

// Error returns the full text for the operator.
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

// Systemf is a failure of this resource whose text the job's author may read.
func Systemf(format string, args ...any) *Error { return publicf(System, format, args) }

// Buildf is a failure of the job without an exit code.
func Buildf(format string, args ...any) *Error { return publicf(Build, format, args) }

// Exit is the failure of the job's script with its exit code, 1 to 255.
func Exit(code int) *Error {
	return &Error{Kind: Build, Code: code, Public: fmt.Sprintf("the job's script ended with exit code %d", code)}
}

// Deniedf is a refusal. Only the operator sees the text.
func Deniedf(format string, args ...any) *Error { return privatef(Denied, format, args) }

// Configf is an error in the administrator's files. Only the operator sees the text.
func Configf(format string, args ...any) *Error { return privatef(Config, format, args) }

// Privatef is a failure of this resource. Only the operator sees the text.
func Privatef(format string, args ...any) *Error { return privatef(System, format, args) }

// WithHint sets the line that suggests what to do, and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Advice is a hint with lines to copy.
type Advice struct {
	Hint  string
	Lines []string
}

// WithAdvice sets the hint and the lines to copy, and returns e.
func (e *Error) WithAdvice(a Advice) *Error {
	e.Hint, e.Lines = a.Hint, a.Lines
	return e
}

// WithPublic sets the line for the job's author, and returns e. The operator still
// reads only the cause, which may contain more.
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
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return System
}

// String returns the kind's name in the operator's log.
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

// Codes are the two exit statuses that the runner requests by
// BUILD_FAILURE_EXIT_CODE and SYSTEM_FAILURE_EXIT_CODE. It treats any other status
// as an unknown failure. Source: https://docs.gitlab.com/runner/executors/custom/
type Codes struct {
	Build  int
	System int
}

// DefaultCodes are the runner's current values, for a call without the variables.
func DefaultCodes() Codes { return Codes{Build: 1, System: 2} }

// Status returns the exit status for err. A failure of the job and a refusal are the
// job's: the runner and GitLab must not run it again by themselves. Everything else is
// the resource's.
func (c Codes) Status(err error) int {
	switch {
	case err == nil:
		return 0
	case KindOf(err) == Build || isFinalRefusal(err):
		return c.Build
	default:
		return c.System
	}
}

func isFinalRefusal(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == Denied && !e.Temporary
}

// ScriptCode returns the exit code of the job's script if err has one.
func ScriptCode(err error) (code int, ok bool) {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Build && e.Code != 0 {
		return e.Code, true
	}
	return 0, false
}

// HasPublicText reports whether err has a text for the job's author. An unclassified
// error has none: its text is for the operator.
func HasPublicText(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Public != ""
}

// LinesOf returns the text to copy of err, nil for none.
func LinesOf(err error) []string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Lines
	}
	return nil
}

// ForUser returns what the job log shows of err: one line and the hint, if any.
// Unless full is set, a general text that refers to the administrators replaces one
// for the operator; quote is the reference for their log, such as "job 123".
func ForUser(err error, full bool, quote string) (line, hint string) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Cause: err}
	}
	switch {
	case full:
		return e.Error(), e.Hint
	case e.Public != "":
		return e.Public, e.Hint
	case e.Kind == Denied && !e.Temporary:
		return "you are not allowed to run CI jobs on this resource", fmt.Sprintf("ask its administrators, quoting %s", quote)
	case e.Kind == Config:
		return "this CI resource is not set up correctly", fmt.Sprintf("ask its administrators, quoting %s", quote)
	default:
		return "this CI resource could not run the job", fmt.Sprintf("retry it; if that fails as well, ask its administrators, quoting %s", quote)
	}
}

// Crowded is the failure of a start for which there are too many processes and threads:
// tasks of the account, which is 0 where that is not known, as is the account's limit. With
// far fewer than its limit, the limit is another one: pids.max of the service's control
// group (TasksMax= in systemd.resource-control(5)), or the machine's.
func Crowded(tasks int, limit uint64, cause error) error {
	text, hint := "no more processes or threads can be started as your account", "end what you do not need on this machine, or start fewer processes in the job"
	const others = "the machine or the runner's service allows no more"
	switch {
	case tasks > 0 && uint64(tasks) >= limit/2 && limit > 0:
		text += fmt.Sprintf(": it has %d, and its limit is %d (RLIMIT_NPROC, ulimit -u)", tasks, limit)
	case tasks > 0:
		text += fmt.Sprintf(": it has %d, and %s", tasks, others)
		hint = "start fewer processes in the job; if it starts few, tell the administrators of this resource (TasksMax= of the runner's unit)"
	case limit > 0:
		text += fmt.Sprintf(": its limit is %d (RLIMIT_NPROC, ulimit -u), or %s", limit, others)
	}
	return &Error{Public: text, Hint: hint, Cause: cause}
}

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
	e, ok := errors.AsType[*Error](err)
	if !ok || !strings.HasPrefix(e.Public, stopped) {
		return err
	}
	full := *e
	full.Public, full.publicHasCause = e.Public+": "+cause, true
	if full.Hint == "" {
		full.Hint = hint
	}
	return &full
}
