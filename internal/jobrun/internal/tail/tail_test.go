package tail

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// step copies new data after it has reopened the path.
func step(t *testing.T, l *Log, w io.Writer) Change {
	t.Helper()
	l.opened = time.Time{}
	_, c, err := l.CopyNew(w)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCopyNew(t *testing.T) {
	mkfifo := func(t *testing.T, p string) {
		if err := syscall.Mkfifo(p, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(t *testing.T, p string) {
		secret := filepath.Join(t.TempDir(), "secret")
		write(t, secret, "secret")
		if err := os.Symlink(secret, p); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(t *testing.T, p string) {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		first  func(t *testing.T, p string)
		then   func(t *testing.T, p string)
		want   string
		change Change
	}{
		{"appears late", func(*testing.T, string) {}, func(t *testing.T, p string) { write(t, p, "a") }, "a", NoChange},
		{"grows", func(t *testing.T, p string) { write(t, p, "a") }, func(t *testing.T, p string) { write(t, p, "b") }, "ab", NoChange},
		{"is deleted", func(t *testing.T, p string) { write(t, p, "a") }, remove, "a", NoChange},
		{
			"is truncated and written again", func(t *testing.T, p string) { write(t, p, "long") },
			func(t *testing.T, p string) { os.Truncate(p, 0); write(t, p, "b") }, "longb", Truncated,
		},
		{
			"is replaced by a file", func(t *testing.T, p string) { write(t, p, "old") },
			func(t *testing.T, p string) { os.Rename(p, p+".1"); write(t, p, "new") }, "oldnew", Replaced,
		},
		{
			"is replaced by a link", func(t *testing.T, p string) { write(t, p, "a") },
			func(t *testing.T, p string) { os.Rename(p, p+".1"); link(t, p); write(t, p+".1", "b") }, "ab", NoChange,
		},
		{
			"is replaced by a fifo", func(t *testing.T, p string) { write(t, p, "a") },
			func(t *testing.T, p string) { remove(t, p); mkfifo(t, p) }, "a", Refused,
		},
		{"is a link from the start", link, func(*testing.T, string) {}, "", NoChange},
		{"is a fifo from the start", mkfifo, func(*testing.T, string) {}, "", NoChange},
		{"is a directory", func(t *testing.T, p string) { os.Mkdir(p, 0o700) }, func(*testing.T, string) {}, "", NoChange},
		{
			"has NUL, half runes and no newline", func(t *testing.T, p string) { write(t, p, "\x00\xc3") },
			func(t *testing.T, p string) { write(t, p, "\xa9\r\x1b[0m") }, "\x00\xc3\xa9\r\x1b[0m", NoChange,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			l := New(path)
			defer l.Close()
			var got bytes.Buffer
			tt.first(t, path)
			step(t, l, &got)
			tt.then(t, path)
			if c := step(t, l, &got); c != tt.change {
				t.Errorf("change %v, want %v", c, tt.change)
			}
			step(t, l, &got)
			if got.String() != tt.want {
				t.Errorf("read %q, want %q", &got, tt.want)
			}
		})
	}
}

func TestRefusalIsReportedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	l := New(path)
	if c := step(t, l, io.Discard); c != Refused {
		t.Errorf("first poll: %v, want Refused", c)
	}
	if c := step(t, l, io.Discard); c != NoChange {
		t.Errorf("second poll: %v, want NoChange", c)
	}
}

// The copy is exact for writes of any size.
func TestByteExact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	random := rand.New(rand.NewPCG(1, 2))
	var want, got bytes.Buffer
	l := New(path)
	defer l.Close()
	for range 200 {
		chunk := make([]byte, random.IntN(200_000))
		for i := range chunk {
			chunk[i] = byte(random.Uint32())
		}
		want.Write(chunk)
		write(t, path, string(chunk))
		if random.IntN(2) == 0 {
			step(t, l, &got)
		}
	}
	step(t, l, &got)
	step(t, l, &got)
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("read %d bytes, wrote %d, or they differ", got.Len(), want.Len())
	}
}

func TestConstantMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, make([]byte, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	l := New(path)
	defer l.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for l.offset < 64<<20 {
		if n, _, err := l.CopyNew(io.Discard); err != nil || n > stepBytes+64<<10 {
			t.Fatalf("a step of %d bytes, error %v", n, err)
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("reading 64 MiB allocated %d bytes", used)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestReaderGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, "a")
	if _, _, err := New(path).CopyNew(broken{}); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("error %v, want EPIPE", err)
	}
}

// Between two openings only the open file is read.
func TestReopensOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		write(t, path, "a")
		l := New(path)
		defer l.Close()
		var got bytes.Buffer
		l.CopyNew(&got)
		os.Rename(path, path+".1")
		write(t, path, "b")
		<-time.After(reopenEvery / 2)
		if _, c, _ := l.CopyNew(&got); c != NoChange {
			t.Errorf("after half the time: %v", c)
		}
		<-time.After(reopenEvery / 2)
		if _, c, _ := l.CopyNew(&got); c != Replaced || got.String() != "ab" {
			t.Errorf("after the time: %v, read %q", c, &got)
		}
	})
}

// What replaces a file whose rest is copied first follows without a wait, and no
// descriptor is left.
func TestRestBeforeReplacement(t *testing.T) {
	tests := []struct {
		name    string
		replace func(path string) error
		change  Change
		want    string
	}{
		{"by a file", func(p string) error { return os.WriteFile(p, []byte("new"), 0o600) }, Replaced, "old rest new"},
		{"by a link", func(p string) error { return os.Symlink("/etc/passwd", p) }, Refused, "old rest "},
		{"by nothing", func(string) error { return nil }, NoChange, "old rest "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "log")
				write(t, path, "old ")
				before := openFiles(t)
				l := New(path)
				var got bytes.Buffer
				l.CopyNew(&got)
				write(t, path, "rest ")
				if err := errors.Join(os.Rename(path, path+".1"), tt.replace(path)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(reopenEvery)
				for i, want := range []Change{NoChange, tt.change} {
					if _, c, err := l.CopyNew(&got); c != want || err != nil {
						t.Errorf("copy %d: %v, error %v, want %v", i, c, err, want)
					}
				}
				l.Close()
				if got.String() != tt.want {
					t.Errorf("read %q, want %q", &got, tt.want)
				}
				if after := openFiles(t); after != before {
					t.Errorf("%d open files, before %d", after, before)
				}
			})
		})
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// The path is not opened again before its time where there is only new data.
func TestNewDataAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		write(t, path, "a")
		l := New(path)
		defer l.Close()
		for range 2 {
			if n, _, err := l.CopyNew(io.Discard); n != 1 || err != nil || l.opened != time.Now() {
				t.Errorf("read %d, error %v, opened at %v", n, err, l.opened)
			}
			write(t, path, "b")
			time.Sleep(reopenEvery)
		}
	})
}

// truncating is a writer during whose work the file becomes shorter.
type truncating string

func (path truncating) Write(p []byte) (int, error) { return len(p), os.Truncate(string(path), 1) }

func TestTruncatedMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, strings.Repeat("a", 100<<10))
	l := New(path)
	defer l.Close()
	if n, c, err := l.CopyNew(truncating(path)); n != 64<<10 || c != NoChange || err != nil {
		t.Errorf("read %d, %v, error %v", n, c, err)
	}
	if c := step(t, l, io.Discard); c != Truncated || l.offset != 1 {
		t.Errorf("then %v, at %d", c, l.offset)
	}
}

// TestReadError: an error is reported, except that of a file that its server has no more,
// after which the path is opened again at once.
func TestReadError(t *testing.T) {
	for _, tt := range []struct {
		err   error
		fails bool
	}{
		{nil, false},
		{unix.EIO, true},
		{unix.EBADF, true},
		{unix.ESTALE, false},
		{&os.PathError{Op: "open", Err: unix.ESTALE}, false},
	} {
		l := &Log{opened: time.Now()}
		err := l.ignoreStale(tt.err)
		if (err != nil) != tt.fails || tt.fails && !errors.Is(err, tt.err) {
			t.Errorf("%v: error %v", tt.err, err)
		}
		if again := errors.Is(tt.err, unix.ESTALE); l.opened.IsZero() != again {
			t.Errorf("%v: opened again at once: %v", tt.err, !again)
		}
	}
}

// The waits between two looks are 10, 20, 40, 80, 160 ms, and then 250 ms each.
func TestCopyRest(t *testing.T) {
	tests := []struct {
		name     string
		size     int64
		late     string        // written after lateBy
		lateBy   time.Duration //
		want     string
		complete bool
		took     time.Duration
	}{
		{"all is there", 5, "", 0, "start", true, 10 * time.Millisecond},
		{"the rest comes late", 8, "end", 3 * time.Second, "startend", true, 3070 * time.Millisecond},
		{"the rest never comes", 8, "", 0, "start", false, 60060 * time.Millisecond},
		{"length unknown", -1, "", 0, "start", true, 1060 * time.Millisecond},
		{"length unknown, still growing", -1, "end", 500 * time.Millisecond, "startend", true, 1620 * time.Millisecond},
		{"more than the writer knew of", 3, "", 0, "start", true, 10 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "log")
				write(t, path, "start")
				if tt.late != "" {
					time.AfterFunc(tt.lateBy, func() { write(t, path, tt.late) })
				}
				l := New(path)
				defer l.Close()
				var got bytes.Buffer
				begin := time.Now()
				complete, err := l.CopyRest(t.Context(), &got, tt.size, time.Minute)
				if err != nil || complete != tt.complete || got.String() != tt.want {
					t.Errorf("complete %v, error %v, read %q", complete, err, &got)
				}
				if took := time.Since(begin); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

// Of an empty file no data is awaited.
func TestCopyRestOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		write(t, path, "")
		l := New(path)
		defer l.Close()
		begin := time.Now()
		if complete, err := l.CopyRest(t.Context(), io.Discard, 0, time.Minute); !complete || err != nil || time.Since(begin) != 0 {
			t.Errorf("complete %v, error %v after %v", complete, err, time.Since(begin))
		}
	})
}

func TestCopyRestIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		complete, err := New(filepath.Join(t.TempDir(), "none")).CopyRest(ctx, io.Discard, 5, time.Hour)
		if complete || err != nil || time.Since(begin) != time.Second {
			t.Errorf("complete %v, error %v after %v", complete, err, time.Since(begin))
		}
	})
}

func TestInterval(t *testing.T) {
	p := Interval{Min: 10 * time.Millisecond, Max: 150 * time.Millisecond}
	var got []string
	for _, news := range []bool{false, false, false, false, false, false, true, false} {
		got = append(got, p.Next(news).String())
	}
	if s := strings.Join(got, " "); s != "10ms 20ms 40ms 80ms 150ms 150ms 10ms 20ms" {
		t.Error(s)
	}
}
