package monitor

import (
	"fmt"
	"time"

	"jacamar-ci/internal/ipc"
)

// Reaper is a jacamar that ends processes as its account, for a process that has
// not the right to, nor to change ids.
type Reaper struct {
	child *Child
	end   *ipc.ParentConn
}

// reaperLimit is how long a reaper may take for its start, and for each answer. It is
// a process of the account, whose others can stop it.
const reaperLimit = 2 * time.Second

// NewReaper briefs a started jacamar. On an error the jacamar is requested to end.
func NewReaper(c *Child, brief ipc.Request) (*Reaper, error) {
	brief.SubStage, brief.Reap = "", true
	r := &Reaper{c, ipc.NewParentConn(c.Socket)}
	err := c.limit(reaperLimit)
	if err == nil {
		err = r.end.Send(brief, nil)
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
