// Package browser drives a headless Chromium over the pipe of its debugging protocol.
// Source: https://chromedevtools.github.io/devtools-protocol/
package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// answerLimit bounds one call: a browser on a busy machine takes a minute for what takes it a second on an idle one.
const answerLimit = 3 * time.Minute

// Browser is a running Chromium. Its methods may be called by one goroutine at a time.
type Browser struct {
	to      *os.File
	mu      sync.Mutex // protects next and waiting
	next    int
	waiting map[int]chan reply
	events  chan event
	ended   chan struct{}
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

type event struct {
	Method    string
	SessionID string
	Params    json.RawMessage
}

// program returns the path of a Chromium, "" where there is none.
func program() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Start starts a browser that ends with the test. It skips the test where no browser is
// installed.
func Start(t *testing.T) *Browser {
	t.Helper()
	path := program()
	if path == "" {
		t.Skip("no chromium on PATH: the pages are not looked at with a browser")
	}
	commands, to := pipe(t)
	from, answers := pipe(t)
	profile, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--headless=new", "--remote-debugging-pipe", "--user-data-dir=" + profile, "--no-first-run", "--disable-gpu",
		"--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars", "about:blank",
	}
	if os.Geteuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...) // Chromium refuses its sandbox to root
	}
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.ExtraFiles = []*os.File{commands, answers} // its stderr has only what the desktop lacks
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = commands.Close(), answers.Close()
	b := &Browser{to: to, waiting: map[int]chan reply{}, events: make(chan event, 1<<14), ended: make(chan struct{})}
	go b.read(from)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if err := os.RemoveAll(profile); err != nil {
			t.Log(err)
		}
	})
	return b
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

// read distributes the browser's messages, which end in a zero byte.
func (b *Browser) read(from *os.File) {
	defer close(b.ended)
	for in := bufio.NewReaderSize(from, 1<<20); ; {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID int
			reply
			event
		}
		if json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m) != nil {
			return
		}
		if m.ID == 0 {
			select {
			case b.events <- m.event:
			default: // no page waits: the buffer is for one that loads
			}
			continue
		}
		b.mu.Lock()
		wait := b.waiting[m.ID]
		delete(b.waiting, m.ID)
		b.mu.Unlock()
		if wait != nil {
			wait <- m.reply
		}
	}
}

// call sends a command to the browser, or to the page of a session, and returns its
// result.
func (b *Browser) call(session, method string, params any) (json.RawMessage, error) {
	wait := make(chan reply, 1)
	b.mu.Lock()
	b.next++
	id := b.next
	b.waiting[id] = wait
	b.mu.Unlock()
	message := map[string]any{"id": id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if session != "" {
		message["sessionId"] = session
	}
	text, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		return nil, err
	}
	select {
	case r := <-wait:
		if r.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		return r.Result, nil
	case <-b.ended:
		return nil, errors.New("the browser has ended")
	case <-time.After(answerLimit):
		return nil, fmt.Errorf("%s: no answer for %v", method, answerLimit)
	}
}
