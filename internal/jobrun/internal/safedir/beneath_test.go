package safedir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

// TestFileBelow: a file some levels below a base is made, read and removed there, and nowhere
// else where a link has taken the place of a directory or of the file.
func TestFileBelow(t *testing.T) {
	for _, linked := range []string{"", "base", "base/scripts", "base/scripts/r", "base/scripts/r/7", "base/scripts/r/7/file"} {
		t.Run("link "+linked, func(t *testing.T) {
			dir := t.TempDir()
			in := func(name string) string { return filepath.Join(dir, name) }
			testutil.Must(t, os.MkdirAll(in("base/scripts/r/7"), 0o700))
			f := NewFileBelow(testutil.AbsPath(t, in("base")), testutil.AbsPath(t, in("base/scripts/r/7")), "file")
			outside := in("outside")
			if linked != "" {
				testutil.Must(t, os.WriteFile(in("base/scripts/r/7/file"), []byte("precious"), 0o600))
				testutil.Must(t, os.Rename(in(linked), outside))
				testutil.Must(t, os.Symlink(outside, in(linked)))
			}
			made, err := f.Create()
			if (err == nil) != (linked == "") {
				t.Errorf("create: %v", err)
			}
			if err == nil {
				testutil.Must(t, made.Close())
			}
			if _, err := f.Create(); linked == "" && !errors.Is(err, unix.EEXIST) {
				t.Errorf("made again: %v", err)
			}
			read, err := f.Open(unix.O_RDONLY)
			if (err == nil) != (linked == "") {
				t.Errorf("open: %v", err)
			}
			if err == nil {
				testutil.Must(t, read.Close())
			}
			f.Remove()
			if linked == "" {
				if _, err := os.Lstat(in("base/scripts/r/7/file")); err == nil {
					t.Error("it was not removed")
				}
				return
			}
			found := 0
			testutil.Must(t, filepath.Walk(outside, func(path string, info os.FileInfo, err error) error {
				if err == nil && info.Mode().IsRegular() {
					text, err := os.ReadFile(path)
					if found++; string(text) != "precious" {
						t.Errorf("%s is %q", path, text)
					}
					return err
				}
				return err
			}))
			if found != 1 {
				t.Errorf("%d files outside, want 1", found)
			}
		})
	}
}
