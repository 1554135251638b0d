package diskspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/mounts"
)

func TestExplain(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		err  error
		line string
		hint string // a part of it
	}{
		"quota":          {unix.EDQUOT, "cannot write x: disk quota exceeded", "your quota on / is full: remove files"},
		"full":           {unix.ENOSPC, "cannot write x: no space left on device", "is full"},
		"read-only":      {unix.EROFS, "cannot write x: read-only file system", "is mounted read-only"},
		"stale":          {unix.ESTALE, "cannot write x: stale file handle", "retry the job"},
		"I/O":            {unix.EIO, "cannot write x: input/output error", "the file system at"},
		"unsupported":    {unix.EINVAL, "cannot write x: invalid argument", "refused the operation: tell its administrators"},
		"busy":           {unix.EBUSY, "cannot write x: device or resource busy", "a process still uses it"},
		"name in use":    {unix.ENOTDIR, "cannot write x: not a directory", "something else has this name: ls -la "},
		"missing parent": {unix.ENOENT, "cannot write x: no such file or directory", "its parent directory must exist"},
		"denied":         {unix.EACCES, "cannot write x: permission denied", "check its owner and mode"},
		"with a path":    {&fs.PathError{Op: "open", Path: "/secret", Err: unix.EACCES}, "cannot write x: permission denied", "check its owner and mode"},
		"another error":  {errors.New("it is odd"), "cannot write x: it is odd", ""},
		"known":          {fmt.Errorf("more: %w", failure.Buildf("no such partition").WithHint("pick one")), "no such partition", "pick one"},
	} {
		t.Run(name, func(t *testing.T) {
			f := Explain("cannot write x", dir, tt.err)
			if f.Error() != f.Public {
				t.Errorf("the operator's log has %q", f.Error())
			}
			if f.Public != tt.line || (tt.hint == "") != (f.Hint == "") || !strings.Contains(strings.ReplaceAll(f.Hint, mounts.Of(dir).Point, "/"), tt.hint) {
				t.Errorf("%q, hint %q", f.Public, f.Hint)
			}
			if want := failure.KindOf(tt.err); failure.KindOf(f) != want {
				t.Errorf("kind %v, want %v", failure.KindOf(f), want)
			}
		})
	}
}

// TestResourceLimits: what the account may not do is no fault of the file system.
func TestResourceLimits(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		resource int
		limit    uint64
		fail     func() error
		hint     string
	}{
		"the size of a file": {
			unix.RLIMIT_FSIZE, 1000, func() error { return os.WriteFile(filepath.Join(dir, "large"), make([]byte, 2000), 0o600) },
			"your limit on the size of a file, in bytes (RLIMIT_FSIZE, ulimit -f) is 1000: ask the administrators to raise it",
		},
		"open files": {
			unix.RLIMIT_NOFILE, 0, func() error { _, err := os.Open(dir); return err },
			"your limit on open files (RLIMIT_NOFILE, ulimit -n) is 0: ask the administrators to raise it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var old unix.Rlimit
			if err := unix.Getrlimit(tt.resource, &old); err != nil {
				t.Fatal(err)
			}
			if err := unix.Setrlimit(tt.resource, &unix.Rlimit{Cur: tt.limit, Max: old.Max}); err != nil {
				t.Fatal(err)
			}
			f := Explain("cannot write x", dir, tt.fail())
			if err := unix.Setrlimit(tt.resource, &old); err != nil {
				t.Fatal(err)
			}
			if f.Hint != tt.hint {
				t.Errorf("%v: hint %q", f, f.Hint)
			}
		})
	}
	if f := Explain("cannot write x", dir, unix.EFBIG); !strings.Contains(f.Hint, "refused the operation") {
		t.Errorf("without a limit: hint %q", f.Hint)
	}
	if f := Explain("cannot open x", dir, unix.ENFILE); !strings.Contains(f.Hint, "fs.file-max") {
		t.Errorf("hint %q", f.Hint)
	}
}

func TestExplainLock(t *testing.T) {
	for err, want := range map[error]bool{
		unix.ENOLCK: true, unix.ENOSYS: true, unix.EOPNOTSUPP: true, unix.EINVAL: true, unix.EIO: false, unix.EACCES: false,
	} {
		f := ExplainLock("cannot lock x", "/", err)
		if strings.Contains(f.Hint, "does not support file locks") != want || f.Hint == "" {
			t.Errorf("%v: hint %q", err, f.Hint)
		}
	}
}

func TestFullFileSystemHasItsFigures(t *testing.T) {
	full := tmpfs(t, "size=1m,nr_inodes=100")
	if err := os.WriteFile(filepath.Join(full, "big"), make([]byte, 2<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	f := Explain("cannot make "+full+"/a/b", full+"/a/b", unix.ENOSPC)
	if want := "the file system " + full + " is full: 1.0 of 1 MiB: remove files there, or tell its administrators"; f.Hint != want {
		t.Errorf("the hint is %q, want %q", f.Hint, want)
	}
	if !IsFull(full) || IsFull("/proc/1/no/such") {
		t.Error("IsFull")
	}
	if large := t.TempDir(); LessLeft(large, full) != full || LessLeft(full, large) != full || LessLeft(full, "/proc") != full {
		t.Error("LessLeft")
	}
	if want := "the file system " + full + " is full: 1.0 of 1 MiB"; Warning(full) != want {
		t.Errorf("Warning is %q, want %q", Warning(full), want)
	}
}

func TestFileSystemWithoutFreeInodes(t *testing.T) {
	full := tmpfs(t, "size=64m,nr_inodes=3")
	for i := 0; ; i++ {
		if err := os.Mkdir(filepath.Join(full, fmt.Sprint(i)), 0o700); err != nil {
			f := Explain("cannot make it", full, err)
			if !strings.Contains(f.Hint, "is full: 3 of 3 files and directories") {
				t.Errorf("the hint is %q", f.Hint)
			}
			return
		}
	}
}

// tmpfs mounts a small file system.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	dir := filepath.Join(t.TempDir(), "with space")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestIsStorageError(t *testing.T) {
	for err, want := range map[error]bool{
		unix.EDQUOT: true, unix.ENOSPC: true, unix.EIO: true, unix.ESTALE: true,
		unix.EACCES: false, unix.ENOENT: false, unix.EROFS: false, errors.New("x"): false,
		Explain("cannot write", "/", &fs.PathError{Err: unix.EIO}): true,
	} {
		if got := IsStorageError(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
