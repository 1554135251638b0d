package linefile

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"jacamar-ci/test/harness/testutil"
)

func TestAppend(t *testing.T) {
	for name, tt := range map[string]struct{ before, want string }{
		"empty file":      {"", "one\ntwo\n"},
		"whole line":      {"zero\n", "zero\none\ntwo\n"},
		"incomplete line": {"zero\nhal", "zero\nhal\none\ntwo\n"},
		"incomplete only": {"h", "h\none\ntwo\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			testutil.Must(t, os.WriteFile(path, []byte(tt.before), 0o600))
			file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
			testutil.Must(t, err)
			defer file.Close()
			lines := []byte("one\ntwo\n")
			n, err := Append(file, lines)
			testutil.Must(t, err)
			got, err := os.ReadFile(path)
			testutil.Must(t, err)
			if string(got) != tt.want || n != len(got)-len(tt.before) || string(lines) != "one\ntwo\n" {
				t.Errorf("%q after %d bytes, want %q", got, n, tt.want)
			}
		})
	}
}

// TestAppendReportsTheWrite: a file that cannot be read has the error of its write.
func TestAppendReportsTheWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	testutil.Must(t, os.WriteFile(path, []byte("hal"), 0o600))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	testutil.Must(t, err)
	if _, err := Append(file, []byte("one\n")); err != nil {
		t.Errorf("a file that is only written: %v", err)
	}
	testutil.Must(t, file.Close())
	if _, err := Append(file, []byte("one\n")); err == nil {
		t.Error("a closed file was written")
	}
}

// TestAppendAtOnce: a line that another process is writing is not an incomplete one. The
// kernel makes the length of a file visible by page while it writes.
func TestAppendAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	line := append(bytes.Repeat([]byte{'x'}, 30_000), '\n')
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 100 {
				file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := Append(file, line); err != nil {
					t.Error(err)
				}
				file.Close()
			}
		})
	}
	writers.Wait()
	got, err := os.ReadFile(path)
	testutil.Must(t, err)
	if empty := bytes.Count(got, []byte("\n\n")); empty != 0 || len(got) != 800*len(line) {
		t.Errorf("%d empty lines, %d bytes, want %d", empty, len(got), 800*len(line))
	}
}
