package subprocess

import (
	"fmt"
	"time"
)

// StartError says that a helper did not run at all.
type StartError struct{ Err error }

func (e StartError) Error() string { return "it cannot be started: " + e.Err.Error() }

// Unwrap returns the system's error.
func (e StartError) Unwrap() error { return e.Err }

// TimeoutError says that a helper was ended at its time limit.
type TimeoutError struct{ Limit time.Duration }

func (e TimeoutError) Error() string { return fmt.Sprintf("it took longer than %s", e.Limit) }

// OutputError says that a helper was ended because it printed too much.
type OutputError struct{ Limit int }

func (e OutputError) Error() string { return fmt.Sprintf("it printed more than %d bytes", e.Limit) }

// HeldError says that a helper ended and left behind, in another session, a
// process that still holds its standard output: what it printed may be a part.
type HeldError struct{}

func (HeldError) Error() string { return "it left a process behind that holds its output" }
