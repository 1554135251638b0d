package fakerunner

import (
	"fmt"
	"sync"
)

// Stream is one of a driver's two output streams.
type Stream int

// The streams.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// trace is the job log. Beyond its limit it drops what is written, silently,
// as the runner does.
type trace struct {
	mu      sync.Mutex
	text    []byte
	limit   int
	phrases []string
	hook    func([]byte)
}

func (t *trace) write(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = p[:min(len(p), t.limit-len(t.text))]
	t.text = append(t.text, p...)
	if t.hook != nil && len(p) > 0 {
		t.hook(p)
	}
}

// line writes one of the runner's own lines.
func (t *trace) line(format string, args ...any) {
	m := newMasker(t.phrases)
	t.write(append(m.next(fmt.Appendf(nil, format+"\n", args...)), m.end()...))
}

func (t *trace) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// tap stores one stream of one call, and passes it on: to the trace with the
// secrets masked, where the stream is shown at all, and to the hooks.
type tap struct {
	limit int
	pass  func([]byte)
	mask  *masker
	trace *trace

	mu   sync.Mutex
	kept []byte
	n    int64
}

// Write implements io.Writer. It never fails: an error here would be a broken pipe
// for the driver.
func (t *tap) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n += int64(len(p))
	t.kept = append(t.kept, p[:min(len(p), t.limit-len(t.kept))]...)
	if t.trace != nil {
		t.trace.write(t.mask.next(p))
	}
	t.pass(p)
	return len(p), nil
}

// end flushes the masker and returns the stored stream.
func (t *tap) end() ([]byte, int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.trace != nil {
		t.trace.write(t.mask.end())
	}
	return t.kept[:len(t.kept):len(t.kept)], t.n
}
