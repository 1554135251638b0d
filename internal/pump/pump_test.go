package pump

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func capacity(t *testing.T, f *os.File) int {
	t.Helper()
	n, err := unix.FcntlInt(f.Fd(), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMuchEnlargesThePipes: a script that prints little leaves the pipes as they are, and
// no byte is lost or out of order when they grow.
func TestMuchEnlargesThePipes(t *testing.T) {
	for name, tt := range map[string]struct {
		bytes int
		size  int
		grows bool
	}{"little": {1 << 10, Size / 2, false}, "much": {1 << 20, Size / 2, true}, "much, with no size": {1 << 20, 0, false}} {
		t.Run(name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			usual := capacity(t, w)
			p, end, err := New(w, tt.size)
			if err != nil {
				t.Fatal(err)
			}
			text := bytes.Repeat([]byte("0123456789abcdef\n"), tt.bytes/17)
			p.Start()
			go func() {
				_, _ = end.Write(text)
				end.Close()
			}()
			got := make([]byte, len(text))
			if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%v, or the text differs", err)
			}
			if err := p.Drain(20 * time.Second); err != nil {
				t.Error(err)
			}
			if n := capacity(t, w); (n > usual) != tt.grows && unix.Geteuid() == 0 {
				t.Errorf("the pipe holds %d bytes, and held %d", n, usual)
			}
			w.Close()
		})
	}
}
