package pump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

// text is more than the pipes and the buffer of a pump hold.
var text = bytes.Repeat([]byte("0123456789abcdef\n"), 1<<16)

// fill writes to a pump and returns the error of the write.
func fill(t *testing.T, out *os.File, text []byte) (written chan error, p *Pump) {
	t.Helper()
	p, end, err := New(out, Size/2)
	testutil.Must(t, err)
	p.Start()
	written = make(chan error, 1)
	go func() {
		_, err := end.Write(text)
		end.Close()
		written <- err
	}()
	return written, p
}

func awaitWrite(t *testing.T, written chan error) {
	t.Helper()
	select {
	case err := <-written:
		testutil.Must(t, err)
	case <-time.After(20 * time.Second):
		t.Error("the writer is blocked")
	}
}

// TestBrokenOutput: the writer of an output that cannot be written is not blocked and has no
// error; the error is the pump's.
func TestBrokenOutput(t *testing.T) {
	r, broken, err := os.Pipe()
	testutil.Must(t, err, r.Close())
	defer broken.Close()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	testutil.Must(t, err)
	defer full.Close()
	path := filepath.Join(t.TempDir(), "file")
	testutil.Must(t, os.WriteFile(path, nil, 0o600))
	readOnly, err := os.Open(path)
	testutil.Must(t, err)
	defer readOnly.Close()
	for name, tt := range map[string]struct {
		out  *os.File
		want error
	}{
		"pipe without a reader": {broken, unix.EPIPE},
		"full device":           {full, unix.ENOSPC},
		"file opened to read":   {readOnly, unix.EBADF},
	} {
		t.Run(name, func(t *testing.T) {
			written, p := fill(t, tt.out, text)
			awaitWrite(t, written)
			if err := p.Drain(20 * time.Second); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// TestFileOfTwoOutputs: as after ">log 2>&1", neither output covers the other.
func TestFileOfTwoOutputs(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "log"))
	testutil.Must(t, err)
	defer out.Close()
	fd, err := unix.Dup(int(out.Fd()))
	testutil.Must(t, err)
	errs := os.NewFile(uintptr(fd), "errs")
	defer errs.Close()
	first, a := fill(t, out, text)
	second, b := fill(t, errs, text)
	awaitWrite(t, first)
	awaitWrite(t, second)
	testutil.Must(t, a.Drain(20*time.Second), b.Drain(20*time.Second))
	got, err := os.ReadFile(out.Name())
	testutil.Must(t, err)
	if len(got) != 2*len(text) || bytes.Count(got, []byte("0")) != 2*bytes.Count(text, []byte("0")) {
		t.Errorf("the file has %d bytes, want %d", len(got), 2*len(text))
	}
}

// TestTerminal, which splice(2) does not write to.
func TestTerminal(t *testing.T) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("there is no terminal here: %v", err)
	}
	defer unix.Close(master)
	testutil.Must(t, unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	testutil.Must(t, err)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_WRONLY|unix.O_NOCTTY, 0)
	testutil.Must(t, err)
	defer terminal.Close()
	written, p := fill(t, terminal, []byte("a line"))
	awaitWrite(t, written)
	testutil.Must(t, p.Drain(20*time.Second))
	got := make([]byte, 100)
	if n := read(master, got); string(got[:n]) != "a line" {
		t.Errorf("%q", got[:n])
	}
}

// TestWriteAllWaits for a reader of an output that does not block.
func TestWriteAllWaits(t *testing.T) {
	var fds [2]int
	testutil.Must(t, unix.Pipe2(fds[:], unix.O_CLOEXEC), unix.SetNonblock(fds[1], true))
	defer unix.Close(fds[0])
	done := make(chan error, 1)
	go func() {
		err := writeAll(fds[1], text)
		unix.Close(fds[1])
		done <- err
	}()
	var got []byte
	for buf := make([]byte, 1000); ; {
		n := read(fds[0], buf)
		if n == 0 {
			break
		}
		got = append(got, buf[:n]...)
	}
	if err := <-done; err != nil || !bytes.Equal(got, text) {
		t.Errorf("%v, %d bytes, want %d", err, len(got), len(text))
	}
}

func TestText(t *testing.T) {
	p, end, err := New(nil, 0)
	testutil.Must(t, err)
	defer end.Close()
	if got := p.Text(10); got != "" {
		t.Errorf("an empty pump has %q", got)
	}
	_, err = end.WriteString("the first words")
	testutil.Must(t, err)
	if got := p.Text(9); got != "the first" {
		t.Errorf("%q", got)
	}
}

// TestGather: of many calls the shortest does not wait, or the longest does.
func TestGather(t *testing.T) {
	for _, tt := range []struct {
		large bool
		n     int64
		waits bool
	}{{true, 1, true}, {true, Size/2 - 1, true}, {true, Size / 2, false}, {true, Size, false}, {false, 1, false}, {false, Size, false}} {
		shortest, longest := time.Hour, time.Duration(0)
		for range 100 {
			begun := time.Now()
			gather(tt.large, tt.n)
			took := time.Since(begun)
			shortest, longest = min(shortest, took), max(longest, took)
		}
		if tt.waits && longest < gatherTime || !tt.waits && shortest >= gatherTime {
			t.Errorf("%+v: %v to %v", tt, shortest, longest)
		}
	}
}

// TestDrainBusy: what is in the pipe at the limit is not lost when the output is
// read later.
func TestDrainBusy(t *testing.T) {
	const idle = 200 * time.Millisecond
	r, out, err := os.Pipe()
	testutil.Must(t, err)
	defer r.Close()
	short := text[:Size*3/4] // more than one pipe of a pump holds, and less than two
	written, p := fill(t, out, short)
	awaitWrite(t, written)
	read := make(chan []byte)
	time.AfterFunc(2*idle, func() {
		got, _ := io.ReadAll(r)
		read <- got
	})
	testutil.Must(t, p.DrainBusy(idle, time.Minute))
	if p.hasMore() {
		t.Error("something is left in the pipe")
	}
	testutil.Must(t, out.Close())
	if got := <-read; !bytes.Equal(got, short) {
		t.Errorf("%d bytes arrived, want %d", len(got), len(short))
	}
}

// TestDrainBusyEnds: an output that is not read bounds the wait all the same.
func TestDrainBusyEnds(t *testing.T) {
	r, out, err := os.Pipe()
	testutil.Must(t, err)
	defer r.Close()
	defer out.Close()
	written, p := fill(t, out, text[:Size*3/4])
	awaitWrite(t, written)
	testutil.Must(t, p.DrainBusy(time.Millisecond, 10*time.Millisecond))
	if !p.hasMore() {
		t.Error("nothing is left in the pipe")
	}
}
