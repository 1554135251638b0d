package executor

import (
	"io"
	"os"
	"sync"
	"time"
)

// maxHeld is how much is kept of what profiles print, in bytes: the end of it.
const maxHeld = 8 << 10

// held is output that the job's log gets only when it is needed. A nil one is
// empty.
type held struct {
	mu   sync.Mutex
	text []byte
	done chan struct{}
}

// hold reads from a pipe until it ends or is closed.
func hold(from *os.File) *held {
	h := &held{done: make(chan struct{})}
	go func() {
		defer close(h.done)
		_, _ = io.Copy(h, from)
	}()
	return h
}

// Write implements io.Writer.
func (h *held) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = append(h.text, p...)
	if surplus := len(h.text) - maxHeld; surplus > 0 {
		h.text = append(h.text[:0], h.text[surplus:]...)
	}
	return len(p), nil
}

// drain waits at most for limit until all has come.
func (h *held) drain(limit time.Duration) {
	if h == nil {
		return
	}
	select {
	case <-h.done:
	case <-time.After(limit):
	}
}

// show writes what is held, and holds it no longer.
func (h *held) show(to io.Writer) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, _ = to.Write(h.text)
	h.text = nil
}
