package ipc

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// ParentConn is the end of the socket that jacamar-auth holds. Its methods may be
// called at once; a peer that does not read holds up Send and Terminate for as
// long as it likes.
type ParentConn struct {
	conn    io.ReadWriter
	sending sync.Mutex
}

// NewParentConn takes the connected socket.
func NewParentConn(conn io.ReadWriter) *ParentConn { return &ParentConn{conn: conn} }

// Send gives jacamar its brief and, for a run stage, the script.
func (a *ParentConn) Send(b Request, script []byte) error {
	a.sending.Lock()
	defer a.sending.Unlock()
	b.Version = Version
	text, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("cannot write the brief: %w", err)
	}
	if err := writeFrame(a.conn, briefFrame, text); err != nil {
		return fmt.Errorf("cannot send the brief: %w", err)
	}
	if b.SubStage == "" {
		return nil
	}
	if err := writeFrame(a.conn, scriptFrame, script); err != nil {
		return fmt.Errorf("cannot send the script: %w", err)
	}
	return nil
}

// Terminate asks jacamar to end the job now.
func (a *ParentConn) Terminate() error {
	a.sending.Lock()
	defer a.sending.Unlock()
	return writeFrame(a.conn, terminateFrame, nil)
}

// Result waits for jacamar's result. io.EOF means that jacamar ended without one,
// and a CrashError that it crashed.
func (a *ParentConn) Result() (Result, error) {
	k, payload, err := readFrame(a.conn)
	if err != nil {
		return Result{}, a.crashed(err)
	}
	if k != resultFrame {
		return Result{}, fmt.Errorf("jacamar sent a %q frame, not its result", byte(k))
	}
	return decodeResult(payload)
}
