package ipc

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// CrashError is what Go's runtime wrote as it ended jacamar: it writes to the socket
// (debug.SetCrashOutput) instead of the job's log. The user's side could have written
// it: it is for the operator.
type CrashError struct{ Text string }

// Error implements error.
func (e *CrashError) Error() string { return fmt.Sprintf("jacamar crashed: %s", e.Text) }

// Threads reports whether the system refused the runtime a thread.
func (e *CrashError) Threads() bool { return strings.Contains(e.Text, "newosproc") }

// crashText bounds what is kept of a crash, in bytes.
const crashText = 4 << 10

// crashed turns an error for bytes that begin no frame into the text that they
// begin.
func (a *ParentConn) crashed(err error) error {
	var none *headError
	if !errors.As(err, &none) {
		return err
	}
	rest, _ := io.ReadAll(io.LimitReader(a.conn, crashText-headerLength))
	return &CrashError{strings.TrimSpace(string(none.head[:]) + string(rest))}
}
