package safedir

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/testutil"
)

// TestMeasure: the size equals that of du(1), also with links, sparse files and deep
// directories, and the deadline is kept.
func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	testutil.Must(t, os.Chmod(dir, 0o700))
	deep := filepath.Join(dir, strings.Repeat("d/", 100))
	testutil.Must(t, os.MkdirAll(deep, 0o700), os.WriteFile(filepath.Join(deep, "f"), make([]byte, 100_000), 0o600))
	for i := range 500 {
		testutil.Must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(strings.Repeat("x", i*10)), 0o600))
	}
	sparse, err := os.Create(filepath.Join(dir, "sparse"))
	testutil.Must(t, err)
	testutil.Must(t, sparse.Truncate(1<<30), sparse.Close(),
		os.Link(filepath.Join(dir, "499"), filepath.Join(dir, "again")),
		os.Symlink("/", filepath.Join(dir, "link")), os.Symlink(filepath.Join(dir, "499"), filepath.Join(dir, "broken")))
	out, err := exec.Command("du", "-s", "--block-size=1", dir).Output()
	testutil.Must(t, err)
	var want int64
	_, err = fmt.Sscan(string(out), &want)
	testutil.Must(t, err)
	out, err = exec.Command("du", "-s", "--inodes", dir).Output()
	testutil.Must(t, err)
	var inodes int64
	_, err = fmt.Sscan(string(out), &inodes)
	testutil.Must(t, err)
	f, err := OpenBase(testutil.AbsPath(t, dir), me())
	testutil.Must(t, err)
	defer f.Close()
	for range 2 {
		if got := f.Measure(time.Time{}); got != (Size{Bytes: want, Files: inodes}) {
			t.Errorf("%+v, du has %d bytes and %d files", got, want, inodes)
		}
	}
	if got := f.Measure(time.Now()); !got.Partial || got.Files > 2 {
		t.Errorf("after the deadline: %+v", got)
	}
}
