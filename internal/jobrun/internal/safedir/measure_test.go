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

// TestAddSizes: a sum with a partial size is partial.
func TestAddSizes(t *testing.T) {
	for _, a := range []bool{true, false} {
		for _, b := range []bool{true, false} {
			sum := Size{Bytes: 1, Files: 2, Partial: a}
			sum.Add(Size{Bytes: 10, Files: 20, Partial: b})
			if want := (Size{11, 22, a || b}); sum != want {
				t.Errorf("%+v, want %+v", sum, want)
			}
		}
	}
}

// TestMeasureWhatIsMissed: an entry that is gone since it was listed makes no size partial,
// one that cannot be read does; neither hides that something was missed before.
func TestMeasureWhatIsMissed(t *testing.T) {
	top := private(t)
	testutil.Must(t, os.Mkdir(filepath.Join(top, "empty"), 0o700), os.Symlink("empty", filepath.Join(top, "link")))
	f := base(t, top, me())
	for name, tt := range map[string]struct {
		entry   dirent
		partial bool
	}{
		"a directory":         {dirent{name: "empty", kind: typeDir}, false},
		"a directory is gone": {dirent{name: "gone", kind: typeDir}, false},
		"a file is gone":      {dirent{name: "gone"}, false},
		"a link instead":      {dirent{name: "link", kind: typeDir}, true},
		"a name of no file":   {dirent{name: strings.Repeat("x", 300)}, true},
	} {
		for _, before := range []bool{true, false} {
			m := measurer{remover: f.newRemover(time.Time{}), size: Size{Partial: before}, seen: map[inode]bool{}}
			m.buffers = make([][]byte, 1)
			m.entry(f.fd, tt.entry, 0)
			if m.size.Partial != (tt.partial || before) {
				t.Errorf("%s, partial before: %v: partial is %v", name, before, m.size.Partial)
			}
		}
	}
}

// TestMeasureTooDeep: what is deeper than the limit is missed, and the rest is counted.
func TestMeasureTooDeep(t *testing.T) {
	top := private(t)
	deep := filepath.Join(top, "a", strings.Repeat("d/", maxMeasuredDepth))
	testutil.Must(t, os.MkdirAll(deep, 0o700), write(filepath.Join(top, "z")))
	if got := base(t, top, me()).Measure(time.Time{}); !got.Partial || got.Files != maxMeasuredDepth+2 {
		t.Errorf("%+v, want %d files and more", got, maxMeasuredDepth+2)
	}
}
