package eintr

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRetry(t *testing.T) {
	for _, last := range []error{nil, unix.ENOENT, fmt.Errorf("cannot open: %w", unix.EAGAIN)} {
		errs := []error{unix.EINTR, fmt.Errorf("cannot open: %w", unix.EINTR), last, unix.EINTR}
		calls := 0
		if err := Retry(func() error { calls++; return errs[calls-1] }); err != last || calls != 3 {
			t.Errorf("%v after %d calls, want %v", err, calls, last)
		}
	}
}

// TestFiles: a file that is created is its owner's alone and not passed on; a link is
// examined itself.
func TestFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	fd, err := Openat(unix.AT_FDCWD, "file", unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
	if err := os.Symlink("file", "link"); err != nil {
		t.Fatal(err)
	}
	var opened, named, link unix.Stat_t
	for _, err := range []error{Fstat(fd, &opened), Fstatat(unix.AT_FDCWD, "file", &named), Fstatat(unix.AT_FDCWD, "link", &link)} {
		if err != nil {
			t.Error(err)
		}
	}
	if opened.Ino != named.Ino || opened.Mode != unix.S_IFREG|0o600 || link.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Errorf("opened %+v, named %+v, link %+v", opened, named, link)
	}
	if fd, err := Openat(unix.AT_FDCWD, "missing", unix.O_RDONLY); err != unix.ENOENT || fd != -1 {
		t.Errorf("%d, %v", fd, err)
	}
}
