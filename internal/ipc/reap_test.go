package ipc

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestHello(t *testing.T) {
	auth, _, conn := conversation(t)
	want := Hello{PID: 42, Processes: 1 << 40}
	go func() { _ = NewChildConn(conn).Hello(want) }()
	if got, err := auth.Greeting(); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	conn.Close()
	if _, err := auth.Greeting(); err != io.EOF {
		t.Errorf("got %v, want io.EOF", err)
	}
	for name, text := range map[string]string{
		"a result":      result(t, Result{}),
		"no message":    frame('H', 1, "x"),
		"pid 0":         framed(t, helloFrame, Hello{}),
		"pid of init":   framed(t, helloFrame, Hello{PID: 1}),
		"all processes": framed(t, helloFrame, Hello{PID: -1}),
		"too long":      frame('H', 257, ""),
	} {
		if h, err := NewParentConn(rw(text)).Greeting(); err == nil {
			t.Errorf("%s: accepted as %+v", name, h)
		}
	}
}

// TestCondemned names more processes to a reaper than one message names.
func TestCondemned(t *testing.T) {
	auth, ours, conn := conversation(t)
	var pids []int
	for n := range 2*maxPIDs + 1 {
		pids = append(pids, 1<<22-n)
	}
	job, got := NewChildConn(conn), make(chan []int)
	go func() {
		var all []int
		for {
			some, err := job.Condemned()
			if err != nil {
				got <- all
				return
			}
			all = append(all, some.PIDs...)
			if some.Below != (len(some.PIDs) == 1) {
				t.Errorf("%d processes, and below is %v", len(some.PIDs), some.Below)
			}
			if job.Done() != nil {
				return
			}
		}
	}()
	if err := auth.Kill(Condemned{PIDs: pids[1:]}); err != nil {
		t.Fatal(err)
	}
	if err := auth.Kill(Condemned{PIDs: pids[:1], Below: true}); err != nil {
		t.Error(err)
	}
	if err := auth.Kill(Condemned{Below: true}); err != nil {
		t.Error(err)
	}
	ours.Close()
	if all := <-got; !slices.Equal(all, append(pids[1:len(pids):len(pids)], pids[0])) {
		t.Errorf("%d of %d were named", len(all), len(pids))
	}
	if err := auth.Kill(Condemned{PIDs: pids[:1]}); err == nil {
		t.Error("a reaper that is gone has ended something")
	}
	for name, text := range map[string]string{"no message": frame('K', 2, "xx"), "a list": frame('K', 3, "[2]"), "an order": frame('T', 0, ""), "nothing": ""} {
		if pids, err := NewChildConn(rw(text)).Condemned(); err == nil {
			t.Errorf("%s: accepted as %v", name, pids)
		}
	}
	if err := NewParentConn(rw(frame('R', 2, "{}"))).Kill(Condemned{PIDs: []int{2}}); err == nil {
		t.Error("a result was taken for an answer")
	}
}

// TestCrash: what Go's runtime writes begins no frame, whatever it begins with.
func TestCrash(t *testing.T) {
	for text, threads := range map[string]bool{
		"runtime stack:\nruntime.throw({0x69a670?, 0x1a6cc77c9d88?})\n\truntime/panic.go:1229 +0x48\nruntime.newosproc(0x1a6cc787e008)\n\truntime/os_linux.go:199 +0x165\n": true,
		"SIGQUIT: quit\nruntime.newosproc(0x1a6cc787e008)\n": false,
		"panic: x\n\ngoroutine 1 [running]:\n":               false,
		"SIGSEGV: segmentation violation\n":                  false,
		"unexpected fault address 0x0\nfatal error: x":       false,
		"fatal error: " + strings.Repeat("x", 1<<20):         false,
	} {
		for name, read := range map[string]func() error{
			"hello":  func() error { _, err := NewParentConn(rw(text)).Greeting(); return err },
			"result": func() error { _, err := NewParentConn(rw(text)).Result(nil); return err },
		} {
			var crash *CrashError
			if err := read(); !errors.As(err, &crash) {
				t.Fatalf("%s, %.20q: %v", name, text, err)
			}
			if crash.Threads() != threads || !strings.HasPrefix(text, crash.Text) || len(crash.Text) > crashText || len(crash.Text) < min(len(text)-1, crashText) {
				t.Errorf("%s, %.20q: %v, %d bytes %.80q", name, text, crash.Threads(), len(crash.Text), crash.Text)
			}
		}
	}
}

// TestCrashIsReadToItsEnd: a runtime that prints its stacks in small pieces can end,
// however much it prints.
func TestCrashIsReadToItsEnd(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	printed := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < 20000 && err == nil; i++ {
			_, err = theirs.WriteString("fatal er")
		}
		printed <- errors.Join(err, theirs.Close())
	}()
	var crash *CrashError
	if _, err := NewParentConn(ours).Result(nil); !errors.As(err, &crash) || len(crash.Text) > crashText {
		t.Errorf("%v", err)
	}
	select {
	case err := <-printed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the runtime still prints")
	}
}
