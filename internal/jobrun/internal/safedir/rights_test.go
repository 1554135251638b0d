package safedir

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

// asAccount calls do on a thread that accesses files as another account.
func asAccount(id int, do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends
		_, _ = unix.SetfsgidRetGid(id)
		_, _ = unix.SetfsuidRetUid(id)
		do()
	}()
	<-done
}

// TestRemoveAsItsOwner: an account that is not root removes what belongs to it, also where the
// directories' modes refuse it. What belongs to others stays, with the reason.
func TestRemoveAsItsOwner(t *testing.T) {
	asRoot(t, "act as another account")
	for name, tt := range map[string]struct {
		change func(victim string) error
		why    string // "" for no error
		left   bool
	}{
		"its own":   {func(string) error { return nil }, "", false},
		"read-only": {func(v string) error { return os.Chmod(filepath.Join(v, "a"), 0o500) }, "", false},
		"one file":  {func(v string) error { return os.Chmod(filepath.Join(v, "a/b/c"), 0o500) }, "", false},
		"closed":    {func(v string) error { return os.Chmod(filepath.Join(v, "a"), 0) }, "", false},
		"another's": {func(v string) error { return os.Chown(filepath.Join(v, "a"), 0, 0) }, "permission denied", true},
	} {
		top := ofStranger(t)
		victim := filepath.Join(top, "victim")
		tree(t, victim)
		testutil.Must(t, filepath.Walk(top, func(path string, _ os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, stranger, stranger)
		}), tt.change(victim))
		var err error
		asAccount(stranger, func() {
			f, oerr := OpenBase(testutil.AbsPath(t, top), Rules{Owner: stranger})
			if err = oerr; err == nil {
				err = f.Remove("victim", later())
				f.Close()
			}
		})
		_, gone := os.Lstat(victim)
		if (err == nil) != (tt.why == "") || (err != nil && !strings.Contains(err.Error(), tt.why)) || (gone == nil) != tt.left {
			t.Errorf("%s: %v, left: %v", name, err, gone == nil)
		}
	}
}

// TestRemoveBelowWhatStays: a directory that cannot be removed itself is reported, and what
// is below its subdirectories is removed.
func TestRemoveBelowWhatStays(t *testing.T) {
	asRoot(t, "make a directory immutable")
	top := private(t)
	victim := filepath.Join(top, "victim")
	testutil.Must(t, os.MkdirAll(filepath.Join(victim, "a/b"), 0o700), write(filepath.Join(victim, "a/f")))
	if err := immutable(victim, true); err != nil {
		t.Skipf("this file system has no immutable directories: %v", err)
	}
	t.Cleanup(func() { testutil.Must(t, immutable(victim, false)) })
	err := base(t, top, me()).Remove("victim", later())
	if err == nil || !strings.Contains(err.Error(), "operation not permitted") {
		t.Errorf("got %v", err)
	}
	if got := list(t, filepath.Join(victim, "a")); got != "" {
		t.Errorf("below it is left: %s", got)
	}
}

// TestRemoveDeepMount: a mount that is so deep that it would be moved up is named as the reason,
// and stays as it is.
func TestRemoveDeepMount(t *testing.T) {
	asRoot(t, "mount")
	top := private(t)
	point := filepath.Join(top, "victim", strings.Repeat("d/", maxDepth)+"mounted")
	testutil.Must(t, os.MkdirAll(point, 0o700))
	if err := unix.Mount("tmpfs", point, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
	mounted, err := unix.Open(point, unix.O_PATH|unix.O_DIRECTORY, 0)
	testutil.Must(t, err)
	path := fmt.Sprintf("/proc/self/fd/%d", mounted)
	t.Cleanup(func() {
		_ = unix.Unmount(path, unix.MNT_DETACH)
		unix.Close(mounted)
	})
	testutil.Must(t, write(filepath.Join(point, "precious")))
	err = base(t, top, me()).Remove("victim", later())
	if err == nil || !strings.Contains(err.Error(), "something is mounted there") {
		t.Errorf("got %v", err)
	}
	if got := list(t, path); got != "precious" {
		t.Errorf("in the mount is left: %q", got)
	}
}

// TestOtherMountByDevice: where the kernel has no mount ids, another device is another mount.
func TestOtherMountByDevice(t *testing.T) {
	var st unix.Stat_t
	fd := base(t, private(t), me()).fd
	testutil.Must(t, unix.Fstat(fd, &st))
	for device, want := range map[uint64]bool{st.Dev: false, st.Dev + 1: true} {
		r := remover{until: time.Now(), device: device}
		if got := r.onOtherMount(fd); got != want {
			t.Errorf("on another mount: %v, want %v", got, want)
		}
		if !r.onOtherMount(-1) {
			t.Error("a directory that cannot be examined is taken for one of this mount")
		}
	}
}

// TestPrivateOfAnother: a directory that others may enter, and whose mode the account cannot
// change, is refused.
func TestPrivateOfAnother(t *testing.T) {
	asRoot(t, "act as another account")
	top := ofStranger(t)
	testutil.Must(t, os.Mkdir(filepath.Join(top, "a"), 0o700), os.Chmod(filepath.Join(top, "a"), 0o777))
	var err error
	asAccount(stranger, func() {
		f, oerr := OpenBase(testutil.AbsPath(t, top), Rules{Owner: stranger})
		if err = oerr; err == nil {
			err = f.Private("a")
			f.Close()
		}
	})
	if err == nil || !strings.Contains(err.Error(), "owned by root, not by you") {
		t.Errorf("got %v", err)
	}
}

// ofStranger is a private directory of another account. t.TempDir is below a directory that
// only root may enter.
func ofStranger(t *testing.T) string {
	t.Helper()
	top, err := os.MkdirTemp("", "safedir-")
	testutil.Must(t, err)
	t.Cleanup(func() { os.RemoveAll(top) })
	testutil.Must(t, os.Chmod(top, 0o700), os.Chown(top, stranger, stranger))
	return top
}
