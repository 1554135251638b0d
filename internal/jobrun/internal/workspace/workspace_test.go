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
	"jacamar-ci/test/harness/testutil"
)

// immutable creates a file that not even root can remove, until the end of the test.
func immutable(t *testing.T, path string) (mutable func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a file immutable")
	}
	writeFile(t, path, "x")
	file, err := os.Open(path)
	testutil.Must(t, err)
	// 0x10 is FS_IMMUTABLE_FL of linux/fs.h.
	set := func(flags int) error { return unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags) }
	if err := set(0x10); err != nil {
		t.Skipf("this file system has no immutable files: %v", err)
	}
	mutable = func() { testutil.Must(t, set(0)) }
	t.Cleanup(func() { mutable(); file.Close() })
	return mutable
}

// TestLeftovers: a cleanup reports what it cannot remove, and later jobs show it as
// long as it exists.
func TestLeftovers(t *testing.T) {
	a := testAccount(t)
	o := configure(t, withStatic(options(t, a, 1), 0))
	prepare(t, o)
	mutable := immutable(t, o.Request.Dirs.Builds.String()+"/a/b")
	w := openWorkspace(t, o)
	testutil.Must(t, w.Cleanup())
	left := w.Unremoved()
	if len(left) != 1 || !strings.Contains(left[0].Reason, "cannot remove "+left[0].Path+": operation not permitted") || !strings.Contains(left[0].Path, "/builds/.trash/1-") {
		t.Fatalf("noted are %+v", left)
	}
	for id := range 2 {
		next := configure(t, withStatic(options(t, a, 2), 0))
		all, err := openWorkspace(t, next).EarlierLeftovers()
		testutil.Must(t, err)
		if len(all) != 1 || all[0] != left[0] {
			t.Errorf("job %d sees %+v", id, all)
		}
		cleanup(t, next)
	}
	mutable()
	last := configure(t, withStatic(options(t, a, 3), 0))
	cleanup(t, last)
	if _, err := openWorkspace(t, last).EarlierLeftovers(); err != unix.ENOENT || exists(a.Home.String()+"/.jacamar-ci/"+leftoversFile) {
		t.Errorf("got %v", err)
	}
}

// TestUnremovableScripts of the own job make the cleanup fail.
func TestUnremovableScripts(t *testing.T) {
	o := configure(t, options(t, testAccount(t), 1))
	immutable(t, o.Request.Dirs.Scripts.String()+"/x")
	w := openWorkspace(t, o)
	if err := w.Cleanup(); err == nil || !strings.Contains(err.Error(), "operation not permitted") {
		t.Errorf("got %v", err)
	}
	if left := w.Unremoved(); len(left) != 1 || !strings.Contains(left[0].Path, "/scripts/.trash/1-") {
		t.Errorf("noted are %+v", left)
	}
	other := openWorkspace(t, configure(t, options(t, o.Request.Account, 2)))
	other.request = configure(t, options(t, o.Request.Account, 2)).Request
	if err := other.Cleanup(); err != nil || len(other.Unremoved()) != 1 {
		t.Errorf("another job's cleanup: %v, noted are %+v", err, other.Unremoved())
	}
}

// TestUnremovableSecrets make the cleanup fail too, and are shown for longer than their
// job has a record.
func TestUnremovableSecrets(t *testing.T) {
	o := configure(t, options(t, testAccount(t), 1))
	prepare(t, o)
	immutable(t, o.Request.Job.Temp.String()+"/SECRET")
	if err := openWorkspace(t, o).Cleanup(); err == nil {
		t.Error("the cleanup succeeded")
	}
	cleanup(t, configure(t, options(t, o.Request.Account, 2)))
	all, err := openWorkspace(t, o).EarlierLeftovers()
	if err != nil || len(all) != 1 || all[0].Path != o.Request.Job.Temp.String() {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestUsableAgain: a directory of all jobs that a cleanup could not use is reported to the
// next job, and no longer when a cleanup could use it again.
func TestUsableAgain(t *testing.T) {
	noted := 0
	for _, dir := range []string{"scripts", "scripts/.trash", "scripts/t0ken", "builds", "builds/.trash", "builds/t0ken", "builds/static", "cache"} {
		t.Run(dir, func(t *testing.T) {
			a := testAccount(t)
			o := configure(t, withStatic(options(t, a, 1), 7))
			o.Request.Settings.CacheDays, o.Request.Settings.BuildDays = 1, 1
			cleanup(t, configure(t, options(t, a, 2)))
			path := filepath.Join(o.Request.Dirs.Base.String(), dir)
			testutil.Must(t, os.MkdirAll(path, 0o700), os.Chmod(path, 0o777))
			_ = openWorkspace(t, o).Cleanup()
			if all, _ := openWorkspace(t, o).EarlierLeftovers(); len(all) > 0 {
				noted++
			}
			testutil.Must(t, os.Chmod(path, 0o700))
			cleanup(t, o)
			if all, err := openWorkspace(t, o).EarlierLeftovers(); err != unix.ENOENT {
				t.Errorf("later jobs read of %+v, %v", all, err)
			}
		})
	}
	if noted < 4 {
		t.Errorf("only %d of the directories were reported", noted)
	}
}

func TestNoteLeftover(t *testing.T) {
	w := &Workspace{}
	for _, err := range []error{nil, unix.ENOENT} {
		w.noteLeftover("/x", err)
	}
	w.noteStorageError("/x", errors.New("it is not a directory"))
	if len(w.unremoved) > 0 {
		t.Errorf("%+v", w.unremoved)
	}
	w.noteStorageError("/y", &os.PathError{Err: unix.EIO})
	for range 100 {
		w.noteLeftover("/x", errors.New(strings.Repeat("y", 5000)))
	}
	if len(w.unremoved) != maxLeftovers || w.unremoved[0].Path != "/y" || len(w.unremoved[1].Reason) != leftoverReasons {
		t.Errorf("%d, %+v", len(w.unremoved), w.unremoved[:2])
	}
}

// TestCorruptLeftovers are written again.
func TestCorruptLeftovers(t *testing.T) {
	o := configure(t, options(t, testAccount(t), 1))
	file := filepath.Join(o.Request.Dirs.Base.String(), leftoversFile)
	writeFile(t, file, "not JSON")
	w := openWorkspace(t, o)
	if all, err := w.EarlierLeftovers(); err != nil || len(all) > 0 {
		t.Errorf("%+v, %v", all, err)
	}
	cleanup(t, o)
	if exists(file) {
		t.Error("it is still there")
	}
	testutil.Must(t, os.Mkdir(file, 0o700))
	w.unremoved = []leftover{{Leftover: ipc.Leftover{Path: "/", Reason: "x"}}}
	w.writeLeftovers() // must not fail
}

func TestDiscardTime(t *testing.T) {
	for name, want := range map[string]int64{"1-2-3000000000": 3, "a-b": 0, "": 0, "9": 0} {
		if got := discardTime(name); got.Unix() != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	w := &Workspace{}
	trash, err := openWorkspace(t, configure(t, options(t, testAccount(t), 1))).base.Make(trashDir)
	testutil.Must(t, err)
	defer trash.Close()
	w.noteOldTrash(trash, []string{"1-1-86400000000000", "2-2-172800000000000"}, time.Unix(86400, 0).Add(trashNoticeTime))
	if len(w.unremoved) != 0 {
		t.Errorf("%+v", w.unremoved)
	}
	w.noteOldTrash(trash, []string{"2-2-172800000000000", "1-1-86400000000000"}, time.Unix(86401, 0).Add(trashNoticeTime))
	if len(w.unremoved) != 1 || !strings.HasSuffix(w.unremoved[0].Path, "/1-1-86400000000000") {
		t.Errorf("%+v", w.unremoved)
	}
}
