package monitor

import (
	"errors"

	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/proctree"
)

// conversation is what jacamar has reported: its hello, then its result.
type conversation struct {
	// hello is closed when greeting was set.
	hello    chan struct{}
	greeting ipc.Hello
	// over is closed when outcome was set; no message follows.
	over    chan struct{}
	outcome outcome
}

// outcome is what is known of jacamar's end.
type outcome struct {
	result ipc.Result
	err    error
	// tasks is how many processes and threads the account had when jacamar was refused
	// one, 0 where that is not known.
	tasks int
}

func (m *Monitor) listen(end *ipc.ParentConn) *conversation {
	w := &conversation{hello: make(chan struct{}), over: make(chan struct{})}
	go func() {
		defer close(w.over)
		// It reads what the user's side has written.
		if err := crash.Recovered(func() error { w.outcome = w.read(end, m.Note); return nil }); err != nil {
			w.outcome = outcome{err: err}
		}
		if crash := (*ipc.CrashError)(nil); errors.As(w.outcome.err, &crash) && crash.Threads() {
			w.outcome.tasks = proctree.Tasks(m.UID)
		}
	}()
	return w
}

func (w *conversation) read(end *ipc.ParentConn, note func(ipc.Note)) (o outcome) {
	if w.greeting, o.err = end.Greeting(); o.err != nil {
		return o
	}
	close(w.hello)
	o.result, o.err = end.Result(note)
	return o
}

// last waits for the outcome of a conversation that was closed.
func (w *conversation) last() outcome {
	<-w.over
	return w.outcome
}

// meet records, once, that jacamar has sent its hello: it runs, and its standard error is
// the job's from then on.
func (m *Monitor) meet(c *Child, conv *conversation) {
	select {
	case <-conv.hello:
	default:
		return
	}
	if c.jacamar != nil {
		return
	}
	c.meet(conv.greeting)
	if m.errs != nil {
		m.errs.Start()
	}
}
