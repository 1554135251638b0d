package lockdown

import (
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMoveFile: the file is at another descriptor, which no program inherits, and what is
// written to the former one is discarded.
func TestMoveFile(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	moved, err := MoveFile(w, "stdout")
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(moved.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 || moved.Fd() < 3 || moved.Name() != "stdout" {
		t.Errorf("descriptor %d, %s: flags %#x, %v", moved.Fd(), moved.Name(), flags, err)
	}
	for text, file := range map[string]*os.File{"discarded": w, "kept": moved} {
		if _, err := file.WriteString(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	w.Close()
	moved.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := MoveFile(w, "stdout"); err == nil {
		t.Error("a closed file was moved")
	}
}
