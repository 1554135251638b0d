package safedir

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

// TestFileBelow: a file some levels below a base is made, read and removed there, and nowhere
// else where a link has taken the place of a directory or of the file.
func TestFileBelow(t *testing.T) {
	for _, linked := range []string{"", "base", "base/scripts", "base/scripts/r", "base/scripts/r/7", "base/scripts/r/7/file"} {
		t.Run("link "+linked, func(t *testing.T) {
			dir := t.TempDir()
			in := func(name string) string { return filepath.Join(dir, name) }
			testutil.Must(t, os.MkdirAll(in("base/scripts/r/7"), 0o700))
			f := NewFileBelow(testutil.AbsPath(t, in("base")), testutil.AbsPath(t, in("base/scripts/r/7")), "file")
			outside := in("outside")
			if linked != "" {
				testutil.Must(t, os.WriteFile(in("base/scripts/r/7/file"), []byte("precious"), 0o600))
				testutil.Must(t, os.Rename(in(linked), outside))
				testutil.Must(t, os.Symlink(outside, in(linked)))
			}
			made, err := f.Create()
			if (err == nil) != (linked == "") {
				t.Errorf("create: %v", err)
			}
			if err == nil {
				testutil.Must(t, made.Close())
			}
			if _, err := f.Create(); linked == "" && !errors.Is(err, unix.EEXIST) {
				t.Errorf("made again: %v", err)
			}
			read, err := f.Open(unix.O_RDONLY)
			if (err == nil) != (linked == "") {
				t.Errorf("open: %v", err)
			}
			if err == nil {
				testutil.Must(t, read.Close())
			}
			f.Remove()
			if linked == "" {
				if _, err := os.Lstat(in("base/scripts/r/7/file")); err == nil {
					t.Error("it was not removed")
				}
				return
			}
			found := 0
			testutil.Must(t, filepath.Walk(outside, func(path string, info os.FileInfo, err error) error {
				if err == nil && info.Mode().IsRegular() {
					text, err := os.ReadFile(path)
					if found++; string(text) != "precious" {
						t.Errorf("%s is %q", path, text)
					}
					return err
				}
				return err
			}))
			if found != 1 {
				t.Errorf("%d files outside, want 1", found)
			}
		})
	}
}

// withoutOpenat2 runs do on a thread where openat2(2) is refused, as by the filters of some
// containers.
func withoutOpenat2(t *testing.T, do func()) {
	t.Helper()
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call, which is first in struct seccomp_data
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_OPENAT2, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the filter ends with the thread
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err == nil {
			filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
			err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0)
		}
		if _, refused := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{}); err == nil && refused == nil {
			err = errors.New("openat2 is not refused")
		}
		if err == nil {
			do()
		}
		done <- err
	}()
	testutil.Must(t, <-done)
}

// TestFileBelowStepwise: without openat2 a file is opened through its directories, and the
// errors are the same.
func TestFileBelowStepwise(t *testing.T) {
	dir := t.TempDir()
	testutil.Must(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o700))
	f := NewFileBelow(testutil.AbsPath(t, dir), testutil.AbsPath(t, filepath.Join(dir, "a/b")), "file")
	missing := NewFileBelow(testutil.AbsPath(t, dir), testutil.AbsPath(t, filepath.Join(dir, "a/c")), "file")
	withoutOpenat2(t, func() {
		made, err := f.Create()
		if err != nil {
			t.Errorf("create: %v", err)
			return
		}
		made.Close()
		if got := mode(t, filepath.Join(dir, "a/b/file")); got != 0o600 {
			t.Errorf("the mode is %04o", got)
		}
		if _, err := f.Create(); !errors.Is(err, unix.EEXIST) {
			t.Errorf("made again: %v", err)
		}
		if _, err := missing.Open(unix.O_RDONLY); !errors.Is(err, unix.ENOENT) {
			t.Errorf("missing: %v", err)
		}
	})
}

// TestOpenBeneath: one call makes a file that only its owner may use, or opens one that exists.
func TestOpenBeneath(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	testutil.Must(t, os.Mkdir(filepath.Join(top, "a"), 0o700))
	for _, flags := range []int{unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL, unix.O_RDONLY} {
		fd, err := openBeneath(f.fd, []string{"a", "file"}, flags)
		if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
			t.Skipf("this kernel or its filter has no openat2: %v", err)
		}
		testutil.Must(t, err)
		unix.Close(fd)
	}
	if got := mode(t, filepath.Join(top, "a/file")); got != 0o600 {
		t.Errorf("the mode is %04o", got)
	}
}

// TestOpenBelow: several levels below a directory that only its owner may enter are opened by
// one call. All others are opened one by one, which explains what is wrong.
func TestOpenBelow(t *testing.T) {
	top := private(t)
	testutil.Must(t, os.MkdirAll(filepath.Join(top, "a/b"), 0o700), os.Mkdir(filepath.Join(top, "a/open"), 0o700),
		unix.Chmod(filepath.Join(top, "a/open"), 0o777))
	f := base(t, top, me())
	inGroup := base(t, top, group())
	for name, tt := range map[string]struct {
		from *Dir
		elem []string
		want bool
	}{
		"two levels":          {f, []string{"a", "b"}, true},
		"one level":           {f, []string{"a"}, false},
		"none":                {f, nil, false},
		"members of a group":  {inGroup, []string{"a", "b"}, false},
		"missing":             {f, []string{"a", "c"}, false},
		"not a name":          {f, []string{"a", "../a"}, false},
		"others may write it": {f, []string{"a", "open"}, false},
	} {
		below, ok := tt.from.openBelow(tt.elem)
		if ok != tt.want {
			t.Errorf("%s: %v", name, ok)
		}
		if ok {
			if want := filepath.Join(append([]string{top}, tt.elem...)...); below.Path().String() != want {
				t.Errorf("%s: the path is %s, want %s", name, below.Path(), want)
			}
			below.Close()
		}
	}
}
