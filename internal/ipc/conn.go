// Package ipc is the conversation between jacamar-auth and jacamar: one connected Unix
// stream socket, which is the standard input of jacamar.
//
//	jacamar-auth → jacamar   request (one), script (one, run stages only), then terminate (any number)
//	jacamar → jacamar-auth   hello (one, once it has the request), notes (at most 64), result (one), then the end of the stream
//
// A jacamar that ends processes as the account (Request.Reap) gets kill instead, any
// number, and answers each with done.
//
// When jacamar reads the end of the stream before it has sent its result, jacamar-auth
// is gone and the job must end.
//
// A frame is a type byte, a length (32 bit, big endian) and that many bytes. Every type
// has a limit, and a reader refuses a frame over it before reading it.
package ipc

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// end is one end of the socket.
type end struct {
	conn    io.ReadWriter
	sending sync.Mutex
}

// send sends a message; what names it in an error.
func (e *end) send(k kind, what string, message any) error {
	e.sending.Lock()
	defer e.sending.Unlock()
	return e.write(k, what, message)
}

// write is send for a caller that holds the lock.
func (e *end) write(k kind, what string, message any) error {
	text, err := encode(message)
	if err == nil {
		err = writeFrame(e.conn, k, text)
	}
	if err != nil {
		return fmt.Errorf("cannot send %s: %w", what, err)
	}
	return nil
}

// ParentConn is the end of the socket that jacamar-auth holds. Its methods may be
// called concurrently; a peer that does not read blocks Send and Terminate without a
// limit.
type ParentConn struct{ end }

// NewParentConn takes the connected socket.
func NewParentConn(conn io.ReadWriter) *ParentConn { return &ParentConn{end{conn: conn}} }

// Send sends jacamar its request and, for a run stage, the script.
func (a *ParentConn) Send(r Request, script []byte) error {
	a.sending.Lock()
	defer a.sending.Unlock()
	r.Version = Version
	if err := a.write(requestFrame, "the request", r); err != nil {
		return err
	}
	if r.SubStage == "" {
		return nil
	}
	if err := writeFrame(a.conn, scriptFrame, script); err != nil {
		return fmt.Errorf("cannot send the script: %w", err)
	}
	return nil
}

// Terminate requests the end of the job.
func (a *ParentConn) Terminate() error {
	a.sending.Lock()
	defer a.sending.Unlock()
	return writeFrame(a.conn, terminateFrame, nil)
}

// Greeting waits for jacamar's hello. Its errors are those of Result.
func (a *ParentConn) Greeting() (Hello, error) {
	k, payload, err := readFrame(a.conn)
	switch {
	case err != nil:
		return Hello{}, a.crashed(err)
	case k != helloFrame:
		return Hello{}, fmt.Errorf("jacamar sent a %q frame, not its hello", byte(k))
	}
	return decodeHello(payload)
}

// Result waits for jacamar's result, and calls note, which may be nil, for each note
// before it. io.EOF means that jacamar ended without a result, and a CrashError that it
// crashed.
func (a *ParentConn) Result(note func(Note)) (Result, error) {
	for range maxNotes + 1 {
		k, payload, err := readFrame(a.conn)
		switch {
		case err != nil:
			return Result{}, a.crashed(err)
		case k == resultFrame:
			return decodeResult(payload)
		case k != noteFrame:
			return Result{}, fmt.Errorf("jacamar sent a %q frame, not its result", byte(k))
		}
		n, err := decodeNote(payload)
		if err != nil {
			return Result{}, err
		}
		if note != nil {
			note(n)
		}
	}
	return Result{}, fmt.Errorf("jacamar sent more than %d notes", maxNotes)
}

// CrashError is what Go's runtime wrote when it ended jacamar: it writes to the socket
// (debug.SetCrashOutput) instead of the job's log. The user's side could have written
// it: it is for the operator.
type CrashError struct{ Text string }

// Error implements error.
func (e *CrashError) Error() string { return fmt.Sprintf("jacamar crashed: %s", e.Text) }

// Threads reports whether the system refused the runtime a thread. The runtime prints its
// reason before it writes to the socket, where the text begins with the frames.
func (e *CrashError) Threads() bool {
	_, frames, _ := strings.Cut(e.Text, "runtime.throw(")
	return strings.Contains(frames, "runtime.newosproc(")
}

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
	// The runtime prints stacks in pieces of a few bytes, some hundreds of which fill a
	// socket: jacamar could not end before they are read.
	go func() { _, _ = io.Copy(io.Discard, a.conn) }()
	return &CrashError{strings.TrimSpace(string(none.head[:]) + string(rest))}
}

// Condemned are processes that a jacamar is to end as its account.
type Condemned struct {
	PIDs []int `json:"pids"`
	// Below means all that is below these processes as well.
	Below bool `json:"below,omitempty"`
}

// maxPIDs are the pids that one message names.
const maxPIDs = 4096

// Kill has a reaping jacamar send SIGKILL to processes, and returns when it has.
// The caller has to prevent that a pid becomes another process's meanwhile.
func (a *ParentConn) Kill(c Condemned) error {
	for len(c.PIDs) > 0 {
		n := min(len(c.PIDs), maxPIDs)
		if err := a.kill(Condemned{c.PIDs[:n], c.Below}); err != nil {
			return err
		}
		c.PIDs = c.PIDs[n:]
	}
	return nil
}

func (a *ParentConn) kill(c Condemned) error {
	a.sending.Lock()
	defer a.sending.Unlock()
	if err := a.write(killFrame, "the names of processes", c); err != nil {
		return err
	}
	_, err := expect(a.conn, doneFrame)
	return err
}

// ChildConn is the end of the socket that jacamar holds.
type ChildConn struct {
	end
	notes int
}

// NewChildConn takes the connected socket, of which the request has been read.
func NewChildConn(conn io.ReadWriter) *ChildConn { return &ChildConn{end: end{conn: conn}} }

// Accept reads what jacamar-auth sends first: the request and, for a run stage, the
// script.
func Accept(conn io.ReadWriter) (*ChildConn, Request, []byte, error) {
	text, err := expect(conn, requestFrame)
	if err != nil {
		return nil, Request{}, nil, fmt.Errorf("cannot read the request: %w", err)
	}
	r, err := decodeRequest(text)
	if err != nil {
		return nil, Request{}, nil, err
	}
	if r.SubStage == "" {
		return NewChildConn(conn), r, nil, nil
	}
	script, err := expect(conn, scriptFrame)
	if err != nil {
		return nil, Request{}, nil, fmt.Errorf("cannot read the script: %w", err)
	}
	return NewChildConn(conn), r, script, nil
}

// Hello sends jacamar's hello.
func (j *ChildConn) Hello(h Hello) error { return j.send(helloFrame, "the hello", h) }

// Control is a message of jacamar-auth after the request.
type Control int

const (
	// Terminate requests the end of the job: the runner has stopped it.
	Terminate Control = iota
	// ParentGone means that jacamar-auth is gone, or sends nonsense: no process reads
	// the result, and the job must end at once.
	ParentGone
)

// Next waits for the next control message.
func (j *ChildConn) Next() Control {
	k, _, err := readFrame(j.conn)
	if err != nil || k != terminateFrame {
		return ParentGone
	}
	return Terminate
}

// Report sends the stage's result, the last thing that jacamar does.
func (j *ChildConn) Report(r Result) error { return j.send(resultFrame, "the result", r) }

// Condemned waits for the next processes that it is to end as its account. Any error
// means that there are no more.
func (j *ChildConn) Condemned() (c Condemned, err error) {
	text, err := expect(j.conn, killFrame)
	if err != nil {
		return c, err
	}
	return c, decode(text, &c)
}

// Done answers Condemned.
func (j *ChildConn) Done() error { return writeFrame(j.conn, doneFrame, nil) }
