package failure

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// PanicError is a panic that was recovered.
type PanicError struct {
	Value any
	// Place is the function and line that panicked.
	Place string
	// Stack is of the goroutine, for the operator, cut after maxStack bytes.
	Stack string
}

const maxStack = 4 << 10

// Error returns the value, the place and the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("%s\n%s", e.Line(), e.Stack) }

// Line returns the value and the place.
func (e *PanicError) Line() string { return fmt.Sprintf("panic: %v, at %s", e.Value, e.Place) }

// Unrecoverable is the value of a panic after which this process must not go on.
// Recovered panics with it again.
type Unrecoverable struct{ Err error }

// Error implements error.
func (u Unrecoverable) Error() string { return u.Err.Error() }

// Recovered runs f and returns its error. A panic of f becomes a failure of this
// resource: the runtime would write the stack to the job's log. It is used at the top of each
// goroutine, as a panic can be recovered only there.
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
		err = Privatef("%w", &PanicError{value, panicPlace(), string(stack[:min(len(stack), maxStack)])})
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
