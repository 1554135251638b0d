package procfs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRead: the content is that of os.ReadFile, for files below and above one buffer,
// and the errors are its errors.
func TestRead(t *testing.T) {
	for _, size := range []int{0, 1, 1023, 1024, 1025, 1 << 16} {
		name := filepath.Join(t.TempDir(), "file")
		want := bytes.Repeat([]byte("x"), size)
		if err := os.WriteFile(name, want, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
	}
	stat, err := Read("/proc/self/stat")
	if err != nil || !bytes.HasSuffix(stat, []byte("\n")) {
		t.Errorf("%q, %v", stat, err)
	}
	for name, want := range map[string]error{"/proc/self/absent": fs.ErrNotExist, "/proc/self": unix.EISDIR} {
		_, err := Read(name)
		_, wanted := os.ReadFile(name)
		if !errors.Is(err, want) || err.Error() != wanted.Error() {
			t.Errorf("%s: %v, want %v", name, err, wanted)
		}
	}
}

// TestReadMost: a file without end is read up to the limit, and a shorter one as a whole.
func TestReadMost(t *testing.T) {
	for _, most := range []int{1, 1023, 1024, 1025, MaxEnviron} {
		if text, err := ReadMost("/dev/zero", most); len(text) != most || err != nil {
			t.Errorf("%d of %d bytes, %v", len(text), most, err)
		}
	}
	want, err := os.ReadFile("/proc/self/environ")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := ReadMost("/proc/self/environ", MaxEnviron); string(text) != string(want) || err != nil {
		t.Errorf("%d of %d bytes, %v", len(text), len(want), err)
	}
}
