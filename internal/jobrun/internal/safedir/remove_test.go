package safedir

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

func TestRemove(t *testing.T) {
	for name, plant := range map[string]func(t *testing.T, path string){
		"nothing":   func(*testing.T, string) {},
		"file":      file,
		"FIFO":      fifo,
		"directory": dir(0o700),
		"tree":      tree,
		"odd names": func(t *testing.T, p string) {
			for _, n := range []string{"a\nb", " ", "-rf", "*", "\xff\xfe", strings.Repeat("x", 255), "..."} {
				testutil.Must(t, os.MkdirAll(filepath.Join(p, n), 0o700), write(filepath.Join(p, n, n)))
			}
		},
		"closed directories": func(t *testing.T, p string) {
			tree(t, p)
			for _, d := range []string{"a/b/c", "a/b", "a", ""} {
				testutil.Must(t, os.Chmod(filepath.Join(p, d), 0o000))
			}
		},
		"read-only directories, as module caches are": func(t *testing.T, p string) {
			tree(t, p)
			testutil.Must(t, os.Chmod(filepath.Join(p, "a/b"), 0o555), os.Chmod(filepath.Join(p, "a"), 0o555), os.Chmod(p, 0o555))
		},
		"many entries": func(t *testing.T, p string) {
			testutil.Must(t, os.Mkdir(p, 0o700))
			for i := range 2000 {
				testutil.Must(t, write(filepath.Join(p, fmt.Sprint(i))))
			}
		},
		"deeper than any path": deep,
	} {
		t.Run(name, func(t *testing.T) {
			top := private(t)
			plant(t, filepath.Join(top, "victim"))
			testutil.Must(t, write(filepath.Join(top, "other")))
			if err := base(t, top, me()).Remove("victim", later()); err != nil {
				t.Error(err)
			}
			if left := list(t, top); left != "other" {
				t.Errorf("left is %s", left)
			}
		})
	}
}

func tree(t *testing.T, p string) {
	testutil.Must(t, os.MkdirAll(filepath.Join(p, "a/b/c"), 0o700), write(filepath.Join(p, "a/b/c/f")), write(filepath.Join(p, "a/f")),
		os.Symlink("f", filepath.Join(p, "a/link")), os.Symlink("nowhere", filepath.Join(p, "dangling")))
}

// deep creates a chain of directories with more levels than this process may have
// descriptors, and longer than the limit of a path.
func deep(t *testing.T, p string) {
	t.Helper()
	var old unix.Rlimit
	testutil.Must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	testutil.Must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 200, Max: old.Max}))
	t.Cleanup(func() { testutil.Must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old)) })
	testutil.Must(t, os.Mkdir(p, 0o700))
	at, err := unix.Open(p, unix.O_DIRECTORY, 0)
	testutil.Must(t, err)
	for range 2500 {
		testutil.Must(t, unix.Mkdirat(at, "d", 0o700))
		next, err := unix.Openat(at, "d", unix.O_DIRECTORY, 0)
		testutil.Must(t, err)
		unix.Close(at)
		at = next
	}
	unix.Close(at)
}

func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	testutil.Must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// TestRemoveFollowsNoLink removes links, and entries with links in them.
func TestRemoveFollowsNoLink(t *testing.T) {
	outside := private(t)
	tree(t, filepath.Join(outside, "precious"))
	top := private(t)
	testutil.Must(t, os.Symlink(filepath.Join(outside, "precious"), filepath.Join(top, "link")))
	testutil.Must(t, os.Mkdir(filepath.Join(top, "dir"), 0o700), os.Symlink(outside, filepath.Join(top, "dir/link")), os.Symlink("..", filepath.Join(top, "dir/up")))
	f := base(t, top, me())
	testutil.Must(t, f.Remove("link", later()), f.Remove("dir", later()))
	if left := list(t, top); left != "" {
		t.Errorf("left is %s", left)
	}
	if left := list(t, filepath.Join(outside, "precious")); left != "a dangling" {
		t.Errorf("outside is left: %s", left)
	}
}

func TestRemoveStopsAtMounts(t *testing.T) {
	for name, mount := range map[string]func(path string) error{
		"file system": func(p string) error { return unix.Mount("tmpfs", p, "tmpfs", 0, "size=1m") },
		"bind mount":  func(p string) error { return unix.Mount(p, p, "", unix.MS_BIND, "") },
	} {
		t.Run(name, func(t *testing.T) {
			asRoot(t, "mount")
			top := private(t)
			point := filepath.Join(top, "victim", "a", "mounted")
			testutil.Must(t, os.MkdirAll(point, 0o700), write(filepath.Join(top, "victim", "f")), write(filepath.Join(top, "victim", "a", "f")))
			if err := mount(point); err != nil {
				t.Skipf("cannot mount here: %v", err)
			}
			t.Cleanup(func() { _ = unix.Unmount(point, unix.MNT_DETACH) })
			testutil.Must(t, write(filepath.Join(point, "precious")))
			err := base(t, top, me()).Remove("victim", later())
			if err == nil || !strings.Contains(err.Error(), "something is mounted there") {
				t.Errorf("got %v", err)
			}
			if left := list(t, point); left != "precious" {
				t.Errorf("in the mount is left: %q", left)
			}
			if left := list(t, filepath.Join(top, "victim")) + list(t, filepath.Join(top, "victim", "a")); left != "amounted" {
				t.Errorf("next to it is left: %q", left)
			}
		})
	}
}

func TestRemoveContinues(t *testing.T) {
	top := private(t)
	victim := filepath.Join(top, "victim")
	for i := range 200 {
		tree(t, filepath.Join(victim, fmt.Sprint(i)))
	}
	f := base(t, top, me())
	if err := f.Remove("victim", time.Now().Add(-time.Second)); err != ErrDeadline {
		t.Fatalf("got %v", err)
	}
	calls := 0
	for ; ; calls++ {
		// Long enough for a few entries, far too short for all.
		err := f.Remove("victim", time.Now().Add(time.Millisecond))
		if err == nil {
			break
		}
		if err != ErrDeadline || calls > 10000 {
			t.Fatalf("after %d calls: %v", calls, err)
		}
	}
	if left := list(t, top); left != "" || calls < 2 {
		t.Errorf("left is %q after %d calls", left, calls)
	}
}

// TestRemoveReadsAgain: a listing that misses an entry is repeated where the directory is not
// empty, and for no other error.
func TestRemoveReadsAgain(t *testing.T) {
	for name, want := range map[string]unix.Errno{"dir": 0, ".": unix.EINVAL} {
		top := private(t)
		f, missed := base(t, top, me()), filepath.Join(top, "dir/missed")
		testutil.Must(t, os.Mkdir(filepath.Dir(missed), 0o700), write(missed))
		fd, err := unix.Open(filepath.Dir(missed), unix.O_RDONLY|unix.O_DIRECTORY, 0)
		testutil.Must(t, err)
		defer unix.Close(fd)
		for n := 1; n > 0; { // up to its end: the next listing has no entry
			n, err = unix.Getdents(fd, make([]byte, 1<<10))
			testutil.Must(t, err)
		}
		r := f.newRemover(later())
		if err := r.removeAll(f.fd, fd, name, 0); errno(err) != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if _, err := os.Lstat(missed); (err == nil) != (want != 0) {
			t.Errorf("%s: the entry that was missed: %v", name, err)
		}
	}
}

// TestConcurrentRemove: the cleanups of two jobs empty the same trash. What is deeper than
// maxDepth is moved up by one while the others look.
func TestConcurrentRemove(t *testing.T) {
	levels, top := strings.Repeat("d/", maxDepth+30), private(t)
	for range 12 {
		tree(t, filepath.Join(top, "victim"))
		for _, way := range []string{"d/", "e/", "f/"} {
			testutil.Must(t, os.MkdirAll(filepath.Join(top, "victim", way, levels), 0o700))
		}
		removeAtOnce(t, top)
	}
}

func removeAtOnce(t *testing.T, top string) {
	t.Helper()
	var all sync.WaitGroup
	for range 4 {
		f := base(t, top, me())
		all.Go(func() {
			if err := f.Remove("victim", later()); err != nil {
				t.Error(err)
			}
		})
	}
	if all.Wait(); t.Failed() || list(t, top) != "" {
		t.Fatalf("left is %q", list(t, top))
	}
}

// TestRemoveSkipsErrors: an entry that cannot be removed stays, all others go.
func TestRemoveSkipsErrors(t *testing.T) {
	asRoot(t, "make a file immutable")
	top := private(t)
	tree(t, filepath.Join(top, "victim"))
	fixed := filepath.Join(top, "victim/a/b/c/f")
	if err := immutable(fixed, true); err != nil {
		t.Skipf("this file system has no immutable files: %v", err)
	}
	t.Cleanup(func() { testutil.Must(t, immutable(fixed, false)) })
	err := base(t, top, me()).Remove("victim", later())
	if err == nil || !strings.Contains(err.Error(), "operation not permitted") {
		t.Errorf("got %v", err)
	}
	if left := list(t, filepath.Join(top, "victim")) + list(t, filepath.Join(top, "victim/a")); left != "ab" {
		t.Errorf("left is %q", left)
	}
}

// immutable sets or clears the attribute of chattr(1).
func immutable(path string, on bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	flags := 0
	if on {
		flags = 0x10 // FS_IMMUTABLE_FL of linux/fs.h
	}
	return unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags)
}

// tmpfs mounts a small file system.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	asRoot(t, "mount a file system")
	dir := filepath.Join(private(t), "small")
	testutil.Must(t, os.Mkdir(dir, 0o700))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options+",mode=700"); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestParseDirents(t *testing.T) {
	good := make([]byte, 24)
	good[16], good[18], good[19] = 24, typeDir, 'a'
	for name, tt := range map[string]struct {
		buf  []byte
		want string
	}{
		"none":             {nil, ""},
		"one":              {good, "a4"},
		"two":              {append(append([]byte{}, good...), good...), "a4a4"},
		"cut off":          {good[:20], ""},
		"length zero":      {make([]byte, 40), ""},
		"dot is passed by": {append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 0, typeDir, '.', 0, 0, 0, 0}, good...), "a4"},
	} {
		got := ""
		for e := range parseDirents(tt.buf) {
			got += fmt.Sprint(e.name, e.kind)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
