package subprocess

import (
	"os"
	"time"
)

// drain reads one output of a helper to its end and keeps the beginning.
type drain struct {
	r, w  *os.File
	limit int
	kept  []byte
	// over is closed when there was more than limit.
	over chan struct{}
	// done is closed at the end; cut reports that the end never came.
	done chan struct{}
	cut  bool
}

func newDrain(limit int) (*drain, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &drain{r: r, w: w, limit: limit, over: make(chan struct{}), done: make(chan struct{})}, nil
}

// start reads in the background. The helper has the writing end by now; ours
// would keep the pipe open indefinitely.
func (d *drain) start() {
	d.w.Close()
	go d.read()
}

func (d *drain) read() {
	defer close(d.done)
	chunk := make([]byte, 32<<10)
	for {
		n, err := d.r.Read(chunk)
		d.keep(chunk[:n])
		if err != nil {
			d.cut = os.IsTimeout(err)
			return
		}
	}
}

func (d *drain) keep(b []byte) {
	room := d.limit - len(d.kept)
	if len(b) > room && !d.exceeded() {
		close(d.over)
	}
	d.kept = append(d.kept, b[:min(len(b), room)]...)
}

func (d *drain) exceeded() bool {
	select {
	case <-d.over:
		return true
	default:
		return false
	}
}

// finish waits for the end of the output, at the latest until the deadline, and
// reports whether somebody still holds the writing end then.
func (d *drain) finish(deadline time.Time) (held bool) {
	// A pipe's reading end takes deadlines on every Linux that Go supports.
	_ = d.r.SetReadDeadline(deadline)
	<-d.done
	return d.cut
}

func (d *drain) close() {
	d.r.Close()
	d.w.Close()
}
