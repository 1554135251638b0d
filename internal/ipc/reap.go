package ipc

import (
	"encoding/json"
	"fmt"
)

// Hello is what jacamar says of itself once it has its brief. The user's side
// writes it: it serves to end that very process as its own account, and to count
// the account's processes, and nothing else.
type Hello struct {
	PID int `json:"pid"`
	// Processes is the limit on the account's processes and threads, RLIMIT_NPROC in
	// getrlimit(2); 0 where there is none.
	Processes uint64 `json:"processes,omitempty"`
}

func decodeHello(b []byte) (h Hello, err error) {
	if err := json.Unmarshal(b, &h); err != nil {
		return h, fmt.Errorf("cannot read jacamar's hello: %w", err)
	}
	if h.PID <= 1 {
		return h, fmt.Errorf("cannot read jacamar's hello: pid %d", h.PID)
	}
	return h, nil
}

// Hello greets jacamar-auth.
func (j *ChildConn) Hello(h Hello) error {
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("cannot write the hello: %w", err)
	}
	return writeFrame(j.conn, helloFrame, text)
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

// Condemned are processes that a jacamar is to end as its account.
type Condemned struct {
	PIDs []int `json:"pids"`
	// Below means all that is below these processes as well.
	Below bool `json:"below,omitempty"`
}

// maxPIDs are the pids that one message names.
const maxPIDs = 4096

// Kill has a reaping jacamar send SIGKILL to processes, and returns when it has.
// The caller sees to it that no pid becomes another process's meanwhile.
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
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("cannot name processes: %w", err)
	}
	a.sending.Lock()
	defer a.sending.Unlock()
	if err := writeFrame(a.conn, killFrame, text); err != nil {
		return fmt.Errorf("cannot name processes: %w", err)
	}
	_, err = expect(a.conn, doneFrame)
	return err
}

// Condemned waits for the next processes that jacamar-auth wants ended. Any error
// means that there are no more.
func (j *ChildConn) Condemned() (c Condemned, err error) {
	text, err := expect(j.conn, killFrame)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(text, &c)
}

// Done answers Condemned.
func (j *ChildConn) Done() error { return writeFrame(j.conn, doneFrame, nil) }
