package trustedfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/testutil"
)

func entered(t *testing.T, path string) *Directory {
	t.Helper()
	d, err := Self().EnterDirectory(testutil.AbsPath(t, path))
	testutil.Must(t, err)
	t.Cleanup(d.Close)
	return d
}

// TestFilesOfADirectory: the rules for a file are those of Trust.Open and
// Trust.OpenAppend.
func TestFilesOfADirectory(t *testing.T) {
	path := trustedDir(t)
	d := entered(t, path)
	write(t, filepath.Join(path, "file"), "text", 0o640)
	write(t, filepath.Join(path, "open"), "text", 0o666)
	testutil.Must(t, os.Symlink("file", filepath.Join(path, "link")))
	if b, mode, err := d.Read("file", 4); err != nil || string(b) != "text" || mode != 0o640 {
		t.Errorf("%q, %04o, %v", b, mode, err)
	}
	if _, _, err := d.Read("missing", 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is missing: %v", err)
	}
	for name, limit := range map[string]int64{"file": 3, "open": 4, "link": 4} {
		if b, _, err := d.Read(name, limit); err == nil {
			t.Errorf("%s, at most %d bytes: %q", name, limit, b)
		}
	}
	for name, f := range map[string]func(string) (*os.File, error){"append": d.OpenAppend, "update": d.OpenUpdate} {
		file, err := f("made by " + name)
		testutil.Must(t, err)
		testutil.Must(t, file.Close())
		if info, err := os.Lstat(filepath.Join(path, "made by "+name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		for _, bad := range []string{"open", "link"} {
			if file, err := f(bad); err == nil {
				t.Errorf("%s opened %s", name, file.Name())
			}
		}
	}
}

// TestUnchanged: another directory in its place, or another mode, is a change, and files
// are still opened in the one that was checked.
func TestUnchanged(t *testing.T) {
	path := filepath.Join(trustedDir(t), "dir")
	mkdir(t, path, 0o700)
	d := entered(t, path)
	write(t, filepath.Join(path, "file"), "text", 0o600)
	if !d.Unchanged() {
		t.Error("changed by a new file")
	}
	testutil.Must(t, os.Chmod(path, 0o750))
	if d.Unchanged() {
		t.Error("another mode is no change")
	}
	testutil.Must(t, os.Chmod(path, 0o700))
	testutil.Must(t, os.Rename(path, path+".old"))
	if d.Unchanged() {
		t.Error("a missing directory is no change")
	}
	mkdir(t, path, 0o700)
	if d.Unchanged() {
		t.Error("another directory is no change")
	}
	if b, _, err := d.Read("file", 4); err != nil || string(b) != "text" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestUntrustedDirectoryIsNotEntered(t *testing.T) {
	path := filepath.Join(trustedDir(t), "dir")
	mkdir(t, path, 0o770)
	if _, err := Self().EnterDirectory(testutil.AbsPath(t, path)); err == nil {
		t.Error("a directory that the group can write was entered")
	}
	if _, err := Self().EnterDirectory(testutil.AbsPath(t, path+"/none")); err == nil {
		t.Error("a missing directory was entered")
	}
}
