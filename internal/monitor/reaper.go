package monitor

import (
	"fmt"
	"time"

	"jacamar-ci/internal/ipc"
)

// Reaper is a jacamar that ends processes as its account, for a process that may
// neither do that nor change ids.
type Reaper struct {
	child *Child
	end   *ipc.ParentConn
}

// reaperLimit is how long a reaper may take for its start, and for each answer. It is
// a process of the account, whose others can stop it.
const reaperLimit = 2 * time.Second

// NewReaper sends a jacamar that was started the request to signal processes. On an error
// it ends that jacamar.
func NewReaper(c *Child, request ipc.Request) (*Reaper, error) {
	request.SubStage, request.Reap = "", true
	r := &Reaper{c, ipc.NewParentConn(c.Socket)}
	err := c.limit(reaperLimit)
	if err == nil {
		err = r.end.Send(request, nil)
	}
	var hello ipc.Hello
	if err == nil {
		hello, err = r.end.Greeting()
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("cannot signal as the account: %w", err)
	}
	c.meet(hello)
	return r, nil
}

// Kill implements Account.
func (r *Reaper) Kill(c ipc.Condemned) error {
	if err := r.end.Kill(c); err != nil {
		return fmt.Errorf("cannot signal as the account: %w", err)
	}
	return nil
}

// Starter implements Account.
func (r *Reaper) Starter() int { return r.child.PID }

// Close implements Account.
func (r *Reaper) Close() *Child {
	r.child.Close()
	return r.child
}
