package monitor

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/pump"
)

// isCrowdedEarly is a start that fails for want of a thread.
func isCrowdedEarly() {
	_, w := runner()
	p := play(&Monitor{Runner: w, KillTimeout: time.Hour, UID: uint32(os.Getuid())}, "echo 'runtime: failed to create new OS thread' >&2; exit 2")
	_, err := p.wait()
	line, _ := failure.ForUser(err, false, "")
	fmt.Println(strings.HasPrefix(line, "no more processes or threads can be started as your account: it has "))
}

func TestCrowdedStartNamesTheNumber(t *testing.T) { expect(t, "is crowded early", "true\n") }

// slow is longer than heldLimit.
const slow = 1500 * time.Millisecond

// hasASlowReader: the runner reads the rest of the log late. More is on its way than its
// pipe holds.
func hasASlowReader() {
	_, w := runner()
	begun := time.Now()
	p := play(&Monitor{Runner: w, KillTimeout: time.Hour}, hello+"head -c 100000 /dev/zero >&2; "+report(ipc.Result{}))
	go func() {
		time.Sleep(slow)
		_, _ = io.Copy(io.Discard, p.stderr)
	}()
	_, err := p.wait()
	fmt.Println(err, time.Since(begun) >= slow)
}

func TestWaitsForASlowReader(t *testing.T) { expect(t, "has a slow reader", "<nil> true\n") }

// outputs returns a monitor with pipes: their ends for jacamar and for the runner.
func outputs(t *testing.T) (m *Monitor, out, errs, readOut, readErrs *os.File) {
	t.Helper()
	readOut, w1, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	readErrs, w2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	m = &Monitor{}
	if out, errs, err = m.Outputs(w1, w2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{out, errs, readOut, readErrs, w1, w2} {
			f.Close()
		}
	})
	return m, out, errs, readOut, readErrs
}

// TestDrainWaitsForTheRest: what is written late still arrives.
func TestDrainWaitsForTheRest(t *testing.T) {
	t.Parallel()
	m, out, errs, readOut, readErrs := outputs(t)
	m.errs.Start()
	go func() {
		time.Sleep(slow)
		for _, f := range []*os.File{out, errs} {
			_, _ = f.WriteString("late")
			f.Close()
		}
	}()
	m.drain(true, false)
	for _, r := range []*os.File{readOut, readErrs} {
		if text := arrived(r); text != "late" {
			t.Errorf("%q", text)
		}
	}
}

// arrived is what a pipe has now.
func arrived(pipe *os.File) string {
	if err := pipe.SetReadDeadline(time.Now()); err != nil {
		return err.Error()
	}
	text, _ := io.ReadAll(pump.NewReader(pipe))
	return string(text)
}

// TestDrainEnds: a process that does not end and holds the pipes delays the stage a little,
// and the output of a jacamar that was not met does not at all.
func TestDrainEnds(t *testing.T) {
	t.Parallel()
	held, _, _, _, _ := outputs(t)
	held.errs.Start()
	unmet, out, _, _, _ := outputs(t)
	out.Close()
	begun := time.Now()
	held.drain(true, true)
	unmet.drain(false, false)
	(&Monitor{}).drain(true, false)
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestIsUnread: only a pipe without a reader is unread.
func TestIsUnread(t *testing.T) {
	read, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if IsUnread(w) || IsUnread(file) {
		t.Errorf("with a reader: %v; a file: %v", IsUnread(w), IsUnread(file))
	}
	read.Close()
	if !IsUnread(w) {
		t.Error("without a reader")
	}
}

// TestSignalsDoNotHideTheEnd: signals interrupt poll(2), as those that the Go runtime sends
// to its own threads do.
func TestSignalsDoNotHideTheEnd(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	gone := (&Monitor{Runner: w}).runnerGone()
	for range 20 {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			tid, _ := strconv.Atoi(task.Name())
			_ = unix.Tgkill(unix.Getpid(), tid, unix.SIGURG)
		}
		time.Sleep(time.Millisecond)
	}
	r.Close()
	select {
	case <-gone:
	case <-time.After(20 * time.Second):
		t.Error("the end of the runner was not seen")
	}
}

// TestNewReaper: a reaper has sent its hello; one that does not answer is an error.
func TestNewReaper(t *testing.T) {
	var greeting bytes.Buffer
	if err := ipc.NewChildConn(&greeting).Hello(ipc.Hello{PID: os.Getpid()}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		answer string
		works  bool
	}{
		"works":       {greeting.String(), true},
		"ends":        {"", false},
		"not a hello": {"X\x00\x00\x00\x01x", false},
	} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer unix.Close(pair[1])
			if n, _ := unix.Read(pair[1], make([]byte, 1<<16)); n > 0 {
				_, _ = unix.Write(pair[1], []byte(tt.answer))
			}
			_, _ = unix.Read(pair[1], make([]byte, 1)) // until the other end is closed
		}()
		c := &Child{Socket: os.NewFile(uintptr(pair[0]), "socket")}
		if tt.answer == "" {
			_ = unix.Shutdown(pair[1], unix.SHUT_RDWR)
		}
		r, err := NewReaper(c, ipc.Request{})
		if (err == nil) != tt.works || tt.works && (c.jacamar == nil || c.jacamar.pid != os.Getpid()) || !tt.works && r != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		c.Socket.Close()
		if tt.works && r.Kill(ipc.Condemned{PIDs: []int{1 << 30}}) == nil {
			t.Error("a reaper that cannot be reached has killed")
		}
	}
}
