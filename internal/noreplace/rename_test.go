package noreplace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

// TestRename: with the flag and without it, an entry gets a free name and never one that is
// taken.
func TestRename(t *testing.T) {
	for how, rename := range map[string]func(int, string, int, string) error{"with the flag": Rename, "without it": withoutFlag} {
		for name, tt := range map[string]struct {
			from, to string
			want     error
		}{
			"a file":                    {"file", "new", nil},
			"a directory":               {"dir", "new", nil},
			"over a file":               {"file", "taken", unix.EEXIST},
			"over an empty directory":   {"dir", "empty", unix.EEXIST},
			"over a link to nothing":    {"file", "link", unix.EEXIST},
			"over a directory":          {"dir", "full", unix.EEXIST},
			"of nothing":                {"none", "new", unix.ENOENT},
			"a file, as a directory":    {"file", "new/", unix.ENOTDIR},
			"into what is no directory": {"file", "taken/new", unix.ENOTDIR},
		} {
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, name) }
			testutil.Must(t, os.WriteFile(at("file"), []byte("file"), 0o600), os.Mkdir(at("dir"), 0o700), os.WriteFile(at("taken"), []byte("taken"), 0o600),
				os.Mkdir(at("empty"), 0o700), os.MkdirAll(at("full/x"), 0o700), os.Symlink("nothing", at("link")))
			fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			testutil.Must(t, err)
			err = rename(fd, tt.from, fd, tt.to)
			testutil.Must(t, unix.Close(fd))
			if how == "without it" && tt.to == "new/" {
				tt.want = unix.EEXIST // as of an entry that was created after the lookup
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%s, %s: %v, want %v", how, name, err, tt.want)
			}
			if text, _ := os.ReadFile(at("taken")); string(text) != "taken" || exists(at(tt.from)) != (tt.want != nil && tt.from != "none") {
				t.Errorf("%s, %s: %q is in the file whose name was taken", how, name, text)
			}
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestUnsupported: only errors by which file systems and filters of system calls refuse a flag
// lead to a rename without it.
func TestUnsupported(t *testing.T) {
	for err, want := range map[error]bool{
		unix.EINVAL: true, unix.ENOSYS: true, unix.EOPNOTSUPP: true, unix.EPERM: true,
		unix.EEXIST: false, unix.ENOENT: false, unix.EACCES: false, unix.EROFS: false, nil: false, errors.New("x"): false,
	} {
		if got := unsupported(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
		if err != nil && unsupported(fmt.Errorf("rename: %w", err)) != want {
			t.Errorf("%v, wrapped: %v", err, !want)
		}
	}
}
