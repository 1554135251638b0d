package safedir

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// me are the rules for the account that runs the tests.
func me() Rules { return Rules{Owner: job.UID(os.Geteuid())} }

// stranger is a user id other than this process's; only root can give it a file.
const stranger = 65533

// private is a new directory that only the caller can access.
func private(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func base(t testing.TB, path string, rules Rules) *Dir {
	t.Helper()
	f, err := OpenBase(testutil.AbsPath(t, path), rules)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func mode(t testing.TB, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func write(path string) error { return os.WriteFile(path, []byte("x"), 0o600) }

func asRoot(t *testing.T, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can " + why)
	}
}

// later is a time that no test reaches.
func later() time.Time { return time.Now().Add(time.Hour) }

// withUmask runs a function with a umask, which is that of the whole process.
func withUmask(t *testing.T, mask int, do func()) {
	t.Helper()
	old := unix.Umask(mask)
	defer unix.Umask(old)
	do()
}
