package auditlog

import (
	"io"
	"sync"
	"time"
)

// outlet opens the place when it is first needed. It swallows every error:
// logrus would print it, and again for each record.
type outlet struct {
	place  Place
	lost   func(error)
	mu     sync.Mutex
	to     io.WriteCloser
	failed error
}

// Write implements io.Writer.
func (o *outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed == nil {
		o.failed = o.send(p)
		o.tell(o.failed)
	}
	return len(p), nil
}

func (o *outlet) tell(err error) {
	if err != nil && o.lost != nil {
		o.lost(err)
	}
}

func (o *outlet) send(p []byte) (err error) {
	if o.to == nil {
		if o.to, err = o.place.open(); err != nil {
			return err
		}
	}
	_, err = o.to.Write(p)
	return err
}

func (o *outlet) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to != nil {
		_ = o.to.Close()
		o.to = nil
	}
}

// patience is how long a log server may keep a job waiting, for the connection
// and for each record.
const patience = 2 * time.Second
