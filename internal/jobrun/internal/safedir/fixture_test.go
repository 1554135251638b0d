package safedir

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// me are the rules for the account that runs the tests.
func me() Rules { return Rules{Owner: job.UID(os.Geteuid())} }

// stranger is a user id that is not this process's; only root can give a file
// to it.
const stranger = 65533

// private is a new directory that only the caller can enter.
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

func abs(t testing.TB, path string) job.AbsPath {
	t.Helper()
	p, err := job.ParseAbsPath(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func base(t testing.TB, path string, rules Rules) *Folder {
	t.Helper()
	f, err := Base(abs(t, path), rules)
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

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func write(path string) error { return os.WriteFile(path, []byte("x"), 0o600) }

func asRoot(t *testing.T, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can " + why)
	}
}

// later is a time that no test comes to.
func later() time.Time { return time.Now().Add(time.Hour) }

// withUmask runs a function under a umask; the process has one only.
func withUmask(t *testing.T, mask int, do func()) {
	t.Helper()
	old := unix.Umask(mask)
	defer unix.Umask(old)
	do()
}
