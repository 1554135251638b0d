package pump

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"jacamar-ci/test/harness/testutil"
)

// TestReaderAfterTheDeadline: what is in a pipe is read also by a process that gets the
// processor after the deadline, and whether the pipe has a writer is known.
func TestReaderAfterTheDeadline(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 4<<10) // a whole pipe
	for name, tt := range map[string]struct {
		text string
		held bool
	}{
		"nothing": {"", false}, "text": {"text\n", false}, "much": {long, false},
		"nothing, held": {"", true}, "text, held": {"text\n", true}, "much, held": {long, true},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := late(t, tt.text)
			if !tt.held {
				w.Close()
			}
			text, err := io.ReadAll(NewReader(r))
			if string(text) != tt.text || errors.Is(err, os.ErrDeadlineExceeded) != tt.held || !tt.held && err != nil {
				t.Errorf("%.20q, %v", text, err)
			}
		})
	}
}

// late returns a pipe with text, and with a deadline for its reader that is over.
func late(t *testing.T, text string) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	testutil.Must(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	_, err = io.WriteString(w, text)
	testutil.Must(t, err, r.SetReadDeadline(time.Now().Add(-time.Second)))
	return r, w
}

// TestReaderOfAnEndlessWriter: after the deadline there is an end to what is read.
func TestReaderOfAnEndlessWriter(t *testing.T) {
	r, w := late(t, "text\n")
	source := NewReader(r)
	n, err := io.ReadFull(source, make([]byte, 2))
	testutil.Must(t, err)
	for err == nil {
		var more int
		_, err = w.WriteString("more\n")
		testutil.Must(t, err)
		more, err = source.Read(make([]byte, 2))
		n += more
	}
	if n != len("text\n") || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestReaderBeforeTheDeadline: a reader waits for what comes before the deadline.
func TestReaderBeforeTheDeadline(t *testing.T) {
	r, w, err := os.Pipe()
	testutil.Must(t, err, r.SetReadDeadline(time.Now().Add(time.Hour)))
	defer r.Close()
	go func() { _, _ = io.WriteString(w, "text\n"); w.Close() }()
	testutil.Must(t, iotest.TestReader(NewReader(r), []byte("text\n")))
}

// TestReaderOfAClosedPipe reports that.
func TestReaderOfAClosedPipe(t *testing.T) {
	r, _ := late(t, "")
	r.Close()
	if _, err := NewReader(r).Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
}
