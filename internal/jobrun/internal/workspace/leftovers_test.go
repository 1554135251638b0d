package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
)

// immutable makes a file that not even root can remove, until the test is over.
func immutable(t *testing.T, path string) (mutable func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a file immutable")
	}
	put(t, path, "x")
	file, err := os.Open(path)
	must(t, err)
	// 0x10 is FS_IMMUTABLE_FL of linux/fs.h.
	set := func(flags int) error { return unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags) }
	if err := set(0x10); err != nil {
		t.Skipf("this file system has no immutable files: %v", err)
	}
	mutable = func() { must(t, set(0)) }
	t.Cleanup(func() { mutable(); file.Close() })
	return mutable
}

// TestLeftovers: what cannot be removed is reported by the cleanup and shown to the
// next jobs, as long as it is there.
func TestLeftovers(t *testing.T) {
	a := self(t)
	o := configure(t, static(order(t, a, 1), 0))
	prepare(t, o)
	mutable := immutable(t, o.Brief.Dirs.Builds.String()+"/a/b")
	w := workspace(t, o)
	must(t, w.Cleanup())
	left := w.Left()
	if len(left) != 1 || !strings.Contains(left[0].Reason, "cannot remove "+left[0].Path+": operation not permitted") || !strings.Contains(left[0].Path, "/builds/.trash/1-") {
		t.Fatalf("noted are %+v", left)
	}
	for id := range 2 {
		next := configure(t, static(order(t, a, 2), 0))
		all, err := workspace(t, next).Leftovers()
		must(t, err)
		if len(all) != 1 || all[0] != left[0] {
			t.Errorf("job %d sees %+v", id, all)
		}
		cleanup(t, next)
	}
	mutable()
	last := configure(t, static(order(t, a, 3), 0))
	cleanup(t, last)
	if _, err := workspace(t, last).Leftovers(); err != unix.ENOENT || exists(a.Home.String()+"/.jacamar-ci/"+leftoversFile) {
		t.Errorf("got %v", err)
	}
}

// TestOwnScriptsThatStay make the cleanup fail: its work is not done.
func TestOwnScriptsThatStay(t *testing.T) {
	o := configure(t, order(t, self(t), 1))
	immutable(t, o.Brief.Dirs.Scripts.String()+"/x")
	w := workspace(t, o)
	if err := w.Cleanup(); err == nil || !strings.Contains(err.Error(), "operation not permitted") {
		t.Errorf("got %v", err)
	}
	if left := w.Left(); len(left) != 1 || !strings.Contains(left[0].Path, "/scripts/.trash/1-") {
		t.Errorf("noted are %+v", left)
	}
	other := workspace(t, configure(t, order(t, o.Brief.Account, 2)))
	other.brief = configure(t, order(t, o.Brief.Account, 2)).Brief
	if err := other.Cleanup(); err != nil || len(other.Left()) != 1 {
		t.Errorf("another job's cleanup: %v, noted are %+v", err, other.Left())
	}
}

// TestSecretsThatStay fail as well, and are shown for longer than their job has a
// lease.
func TestSecretsThatStay(t *testing.T) {
	o := configure(t, order(t, self(t), 1))
	prepare(t, o)
	immutable(t, o.Brief.Job.Temp.String()+"/SECRET")
	if err := workspace(t, o).Cleanup(); err == nil {
		t.Error("the cleanup succeeded")
	}
	cleanup(t, configure(t, order(t, o.Brief.Account, 2)))
	all, err := workspace(t, o).Leftovers()
	if err != nil || len(all) != 1 || all[0].Path != o.Brief.Job.Temp.String() {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestNote(t *testing.T) {
	w := &Workspace{}
	for _, err := range []error{nil, unix.ENOENT} {
		w.note("/x", err)
	}
	w.noteStorage("/x", errors.New("it is not a directory"))
	if len(w.left) > 0 {
		t.Errorf("%+v", w.left)
	}
	w.noteStorage("/y", &os.PathError{Err: unix.EIO})
	for range 100 {
		w.note("/x", errors.New(strings.Repeat("y", 5000)))
	}
	if len(w.left) != maxLeftovers || w.left[0].Path != "/y" || len(w.left[1].Reason) != leftoverReasons {
		t.Errorf("%d, %+v", len(w.left), w.left[:2])
	}
}

// TestBrokenRecord of leftovers is written again.
func TestBrokenRecord(t *testing.T) {
	o := configure(t, order(t, self(t), 1))
	file := filepath.Join(o.Brief.Dirs.Base.String(), leftoversFile)
	put(t, file, "not JSON")
	w := workspace(t, o)
	if all, err := w.Leftovers(); err != nil || len(all) > 0 {
		t.Errorf("%+v, %v", all, err)
	}
	cleanup(t, o)
	if exists(file) {
		t.Error("it is still there")
	}
	must(t, os.Mkdir(file, 0o700))
	w.left = []ipc.Leftover{{Path: "/", Reason: "x"}}
	w.record() // which cannot be written, and stops nothing
}

func TestDiscarded(t *testing.T) {
	for name, want := range map[string]int64{"1-2-3000000000": 3, "a-b": 0, "": 0, "9": 0} {
		if got := discarded(name); got.Unix() != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	w := &Workspace{}
	trash, err := workspace(t, configure(t, order(t, self(t), 1))).base.Make(trashDir)
	must(t, err)
	defer trash.Close()
	w.noteLate(trash, []string{"1-1-86400000000000", "2-2-172800000000000"}, time.Unix(86400, 0).Add(patience))
	if len(w.left) != 0 {
		t.Errorf("%+v", w.left)
	}
	w.noteLate(trash, []string{"2-2-172800000000000", "1-1-86400000000000"}, time.Unix(86401, 0).Add(patience))
	if len(w.left) != 1 || !strings.HasSuffix(w.left[0].Path, "/1-1-86400000000000") {
		t.Errorf("%+v", w.left)
	}
}
