// Package crash turns a panic into an error. The runtime would write its stack to
// standard error, which is the job's log.
package crash

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"jacamar-ci/internal/failure"
)

// Error is a panic that was recovered.
type Error struct {
	Value any
	// Place is the function and line that panicked.
	Place string
	// Stack is of the goroutine, for the operator, cut after maxStack bytes.
	Stack string
}

const maxStack = 4 << 10

// Error returns the value, the place and the stack.
func (e *Error) Error() string { return fmt.Sprintf("%s\n%s", e.Line(), e.Stack) }

// Line returns the value and the place.
func (e *Error) Line() string { return fmt.Sprintf("panic: %v, at %s", e.Value, e.Place) }

// Unrecoverable is the value of a panic after which this process must not go on.
// Recovered panics with it again.
type Unrecoverable struct{ Err error }

// Error implements error.
func (u Unrecoverable) Error() string { return u.Err.Error() }

// Recovered runs f and returns its error. A panic of f becomes a failure of this
// resource. A panic can be recovered only in its own goroutine.
func Recovered(f func() error) (err error) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		if u, ok := value.(Unrecoverable); ok {
			panic(u)
		}
		stack := debug.Stack()
		err = failure.Privatef("%w", &Error{value, panicPlace(), string(stack[:min(len(stack), maxStack)])})
	}()
	return f()
}

// panicPlace is called while a panic is recovered. The frames after runtime.gopanic are
// those of the function that panicked, below some of the runtime for a fault.
func panicPlace() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for panicked := false; ; {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicked = true
		case panicked && !strings.HasPrefix(frame.Function, "runtime."):
			return fmt.Sprintf("%s:%d", frame.Function, frame.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}
