package trustedfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"jacamar-ci/test/harness/testutil"
)

// trustedDir makes a directory whose parents can all be trusted.
func trustedDir(t *testing.T) string {
	t.Helper()
	dir := testutil.HomeDir(t)
	file := filepath.Join(dir, "probe")
	write(t, file, "", 0o600)
	if faults := Self().Check(testutil.AbsPath(t, file)); len(faults) > 0 {
		t.Skipf("the home of this account is not trusted itself: %v", &faults[0])
	}
	return dir
}

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	testutil.Must(t, os.WriteFile(path, []byte(text), 0o600))
	testutil.Must(t, os.Chmod(path, mode))
}

func mkdir(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	testutil.Must(t, os.MkdirAll(path, 0o700))
	testutil.Must(t, os.Chmod(path, mode))
}

func rootOnly(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
}

// refused opens path, which must fail with want as its text, in good time: a
// FIFO without a writer would hold a careless open indefinitely.
func refused(t *testing.T, path string, r fileRules, want string) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		f, err := Self().open(testutil.AbsPath(t, path), r)
		if err == nil {
			f.Close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Fatalf("%s was opened", path)
		}
		if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
		if f := new(Fault); !errors.As(err, &f) {
			t.Errorf("the error is a %T", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("open hangs")
	}
}
