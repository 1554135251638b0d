package fakerunner

import (
	"bytes"
	"context"
	"fmt"
	"sync"
)

// journal lets tests wait for events of a running job.
type journal struct {
	mu      sync.Mutex
	changed chan struct{}
	started []Process
	output  map[string]*bytes.Buffer
	over    bool
}

func newJournal() *journal {
	return &journal{changed: make(chan struct{}), output: map[string]*bytes.Buffer{}}
}

func (j *journal) note(change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *journal) start(p Process) { j.note(func() { j.started = append(j.started, p) }) }
func (j *journal) end()            { j.note(func() { j.over = true }) }

func (j *journal) write(stage string, p []byte, limit int) {
	j.note(func() {
		b := j.output[stage]
		if b == nil {
			b = &bytes.Buffer{}
			j.output[stage] = b
		}
		b.Write(p[:min(len(p), limit-b.Len())])
	})
}

// wait returns when holds is true. It fails when ctx or the job ends first.
func (j *journal) wait(ctx context.Context, what string, holds func() bool) error {
	for {
		j.mu.Lock()
		ok, over, changed := holds(), j.over, j.changed
		j.mu.Unlock()
		switch {
		case ok:
			return nil
		case over:
			return fmt.Errorf("the job ended before %s", what)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		}
	}
}
