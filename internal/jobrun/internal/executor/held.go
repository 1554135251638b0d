package executor

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/loginshell"
)

// held is output that the job's log gets only when it is needed. A nil one is
// empty.
type held struct {
	pipe *os.File
	mu   sync.Mutex // of reading, together with text
	text []byte
	lost bool // the beginning is not in text
	done chan struct{}
}

// hold reads from a pipe until it ends or is closed.
func hold(from *os.File) *held {
	h := &held{pipe: from, done: make(chan struct{})}
	go func() {
		defer close(h.done)
		if raw, err := from.SyscallConn(); err == nil {
			_ = raw.Read(func(fd uintptr) bool {
				for {
					if n, err := h.read(int(fd)); n <= 0 {
						return !errors.Is(err, unix.EAGAIN)
					}
				}
			})
		}
	}()
	return h
}

// read keeps what one read(2) of the pipe returns.
func (h *held) read(fd int) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	chunk := make([]byte, 8<<10)
	if n, err = unix.Read(fd, chunk); n <= 0 {
		return n, err
	}
	h.text = append(h.text, chunk[:n]...)
	if surplus := len(h.text) - loginshell.MaxOutput; surplus > 0 {
		h.text, h.lost = append(h.text[:0], h.text[surplus:]...), true
	}
	return n, nil
}

// readWaiting keeps what the pipe has at this moment, and not what a daemon of a profile
// may add to it without end.
func (h *held) readWaiting(fd int) {
	left, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	for err == nil && left > 0 {
		var n int
		if n, err = h.read(fd); n <= 0 {
			return
		}
		left -= n
	}
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

// fold writes what was printed until now as a section of the job's log.
func (h *held) fold(log joblog.Writer) {
	if h == nil {
		return
	}
	if raw, err := h.pipe.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { h.readWaiting(int(fd)) })
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.text) == 0 {
		return
	}
	title := loginshell.OutputTitle
	if h.lost {
		title += " (its end)"
	}
	log.Fold(loginshell.OutputSection, title, h.text)
	h.text = nil
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
