package ipc

import (
	"encoding/json"
	"fmt"
	"io"
)

// ChildConn is the end of the socket that jacamar holds.
type ChildConn struct{ conn io.ReadWriter }

// Accept reads what jacamar-auth sends first: the brief and, for a run stage,
// the script.
func Accept(conn io.ReadWriter) (*ChildConn, Request, []byte, error) {
	text, err := expect(conn, briefFrame)
	if err != nil {
		return nil, Request{}, nil, fmt.Errorf("cannot read the brief: %w", err)
	}
	brief, err := decodeRequest(text)
	if err != nil {
		return nil, Request{}, nil, err
	}
	if brief.SubStage == "" {
		return &ChildConn{conn}, brief, nil, nil
	}
	script, err := expect(conn, scriptFrame)
	if err != nil {
		return nil, Request{}, nil, fmt.Errorf("cannot read the script: %w", err)
	}
	return &ChildConn{conn}, brief, script, nil
}

func expect(r io.Reader, want kind) ([]byte, error) {
	k, payload, err := readFrame(r)
	switch {
	case err != nil:
		return nil, noEOF(err)
	case k != want:
		return nil, fmt.Errorf("a %q frame where %q was due", byte(k), byte(want))
	}
	return payload, nil
}

// Control is what jacamar-auth wants after the brief.
type Control int

const (
	// Terminate asks for the end of the job: the runner wants it to stop.
	Terminate Control = iota
	// ParentGone means that jacamar-auth is gone, or speaks nonsense: nobody is left
	// to report to, and the job must end at once.
	ParentGone
)

// Next waits for the next order.
func (j *ChildConn) Next() Control {
	k, _, err := readFrame(j.conn)
	if err != nil || k != terminateFrame {
		return ParentGone
	}
	return Terminate
}

// Report sends the stage's result, the last thing that jacamar does.
func (j *ChildConn) Report(r Result) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return writeFrame(j.conn, resultFrame, text)
}
