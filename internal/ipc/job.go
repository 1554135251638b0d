package ipc

import (
	"encoding/json"
	"fmt"
	"io"
)

// JobEnd is the end of the socket that jacamar holds.
type JobEnd struct{ conn io.ReadWriter }

// Accept reads what jacamar-auth sends first: the brief and, for a run stage,
// the script.
func Accept(conn io.ReadWriter) (*JobEnd, Brief, []byte, error) {
	text, err := expect(conn, briefFrame)
	if err != nil {
		return nil, Brief{}, nil, fmt.Errorf("cannot read the brief: %w", err)
	}
	brief, err := decodeBrief(text)
	if err != nil {
		return nil, Brief{}, nil, err
	}
	if brief.SubStage == "" {
		return &JobEnd{conn}, brief, nil, nil
	}
	script, err := expect(conn, scriptFrame)
	if err != nil {
		return nil, Brief{}, nil, fmt.Errorf("cannot read the script: %w", err)
	}
	return &JobEnd{conn}, brief, script, nil
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

// Order is what jacamar-auth wants after the brief.
type Order int

const (
	// Terminate asks for the end of the job: the runner wants it to stop.
	Terminate Order = iota
	// Lost means that jacamar-auth is gone, or speaks nonsense: nobody is left
	// to report to, and the job must end at once.
	Lost
)

// Next waits for the next order.
func (j *JobEnd) Next() Order {
	k, _, err := readFrame(j.conn)
	if err != nil || k != terminateFrame {
		return Lost
	}
	return Terminate
}

// Report sends the stage's result, the last thing that jacamar does.
func (j *JobEnd) Report(r Result) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return writeFrame(j.conn, resultFrame, text)
}
