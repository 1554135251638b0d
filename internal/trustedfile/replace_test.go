package trustedfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

func TestReplacedWhileOpen(t *testing.T) {
	dir := trustedDir(t)
	file, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
	write(t, file, "old", 0o600)
	f, err := Self().Open(testutil.AbsPath(t, file), 100)
	testutil.Must(t, err)
	defer f.Close()
	write(t, other, "new", 0o666)
	testutil.Must(t, os.Rename(other, file))
	if got, err := io.ReadAll(f); err != nil || string(got) != "old" {
		t.Errorf("%q, %v: the descriptor is not of the file that was checked", got, err)
	}
}

// TestReplacedWhileOpening swaps the name between a trusted file and one of
// each kind that is refused. The contents of the others must never be read.
func TestReplacedWhileOpening(t *testing.T) {
	dir := trustedDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	write(t, in("good"), "good", 0o600)
	write(t, in("bad"), "bad", 0o666)
	write(t, in("target"), "bad", 0o600)
	testutil.Must(t, os.Symlink("target", in("link")))
	testutil.Must(t, unix.Mkfifo(in("fifo"), 0o600))
	testutil.Must(t, os.Link(in("good"), in("file")))

	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				swap(t, in("good"), in([]string{"bad", "link", "fifo"}[i%3]), in("file"))
			}
		}
	})
	opened := 0
	for range 3000 {
		got, err := Self().Read(testutil.AbsPath(t, in("file")), 100)
		if err != nil {
			continue
		}
		if opened++; string(got) != "good" {
			t.Errorf("read %q", got)
			break
		}
	}
	close(stop)
	swapper.Wait()
	if opened == 0 {
		t.Error("the trusted file was never opened: the test proves nothing")
	}
}

// swap puts first one and then the other file at name, each by one rename(2).
func swap(t *testing.T, one, other, name string) {
	for _, source := range []string{other, one} {
		temp := name + ".new"
		if err := os.Link(source, temp); err != nil {
			t.Error(err)
			return
		}
		if err := os.Rename(temp, name); err != nil {
			t.Error(err)
		}
		os.Remove(temp) // rename(2) does nothing between two links of one file
	}
}

// TestAppendDuringRotation: a log that logrotate(8) renames at any moment takes every line, in
// the renamed file or in a new one.
func TestAppendDuringRotation(t *testing.T) {
	dir := trustedDir(t)
	path := testutil.AbsPath(t, filepath.Join(dir, "log"))
	const writers, lines = 3, 3000
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range lines {
				f, err := Self().OpenAppend(path)
				if err != nil {
					t.Error(err)
					continue
				}
				_, err = f.WriteString("line\n")
				if err := errors.Join(err, f.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { all.Wait(); close(written) }()
	text := 0
	for n, done := 0, false; !done; n++ {
		select {
		case <-written:
			done = true // and the last file is counted
		default:
		}
		old := filepath.Join(dir, fmt.Sprint(n))
		if err := os.Rename(path.String(), old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
	rotated, err := filepath.Glob(filepath.Join(dir, "*"))
	testutil.Must(t, err)
	for _, name := range rotated {
		b, err := os.ReadFile(name)
		testutil.Must(t, err)
		text += bytes.Count(b, []byte("line\n"))
	}
	if text != writers*lines {
		t.Errorf("%d lines in %d files, want %d", text, len(rotated), writers*lines)
	}
}
