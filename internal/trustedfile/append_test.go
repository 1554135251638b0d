package trustedfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// appends writes text at the end of the file at path.
func appends(t *testing.T, path, text string) {
	t.Helper()
	f, err := Self().OpenAppend(abs(t, path))
	must(t, err)
	_, err = f.WriteString(text)
	must(t, err)
	must(t, f.Close())
}

func TestAppendMakesAPrivateFileAndKeepsWhatIsThere(t *testing.T) {
	path := filepath.Join(trustedDir(t), "log")
	appends(t, path, "one\n")
	appends(t, path, "two\n")
	b, err := os.ReadFile(path)
	if err != nil || string(b) != "one\ntwo\n" {
		t.Errorf("%q, %v", b, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAppendFollowsTheEnd(t *testing.T) {
	path := filepath.Join(trustedDir(t), "log")
	f, err := Self().OpenAppend(abs(t, path))
	must(t, err)
	defer f.Close()
	appends(t, path, "other\n")
	_, err = f.WriteString("mine\n")
	must(t, err)
	if b, _ := os.ReadFile(path); string(b) != "other\nmine\n" {
		t.Errorf("%q: one writer wrote over the other", b)
	}
}

func TestAppendDescriptorIsNotInherited(t *testing.T) {
	f, err := Self().OpenAppend(abs(t, filepath.Join(trustedDir(t), "log")))
	must(t, err)
	defer f.Close()
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(t *testing.T, dir, path string)
		want string
	}{
		{"symbolic link", func(t *testing.T, dir, path string) {
			write(t, filepath.Join(dir, "victim"), "safe", 0o600)
			must(t, os.Symlink("victim", path))
		}, "it is a symbolic link"},
		{"dangling link", func(t *testing.T, dir, path string) {
			must(t, os.Symlink("victim", path))
		}, "it is a symbolic link"},
		{"directory", func(t *testing.T, _, path string) { mkdir(t, path, 0o700) }, "it is a directory"},
		{"FIFO", func(t *testing.T, _, path string) { must(t, unix.Mkfifo(path, 0o600)) }, "it is a FIFO"},
		{"others may write", func(t *testing.T, _, path string) { write(t, path, "", 0o606) }, "it is writable by others"},
		{"directory for all", func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o777)) }, "is writable by group and others"},
		{"sticky directory", func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o777|os.ModeSticky)) }, "is writable by group and others"},
		{"no directory", func(t *testing.T, dir, _ string) { must(t, os.Remove(dir)) }, "does not exist"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(trustedDir(t), "logs")
			mkdir(t, dir, 0o755)
			path := filepath.Join(dir, "log")
			tc.make(t, dir, path)
			done := make(chan error, 1)
			go func() {
				f, err := Self().OpenAppend(abs(t, path))
				if err == nil {
					f.Close()
				}
				done <- err
			}()
			select {
			case err := <-done:
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("open hangs")
			}
			if b, err := os.ReadFile(filepath.Join(dir, "victim")); err == nil && string(b) != "safe" {
				t.Errorf("the victim has %q", b)
			}
			if _, err := os.Lstat(filepath.Join(dir, "victim")); tc.name == "dangling link" && err == nil {
				t.Error("the link's target was made")
			}
		})
	}
}

func TestAppendRefusesAnothersFile(t *testing.T) {
	rootOnly(t)
	path := filepath.Join(trustedDir(t), "log")
	write(t, path, "", 0o600)
	must(t, os.Chown(path, 4242, 4242))
	if f, err := Self().OpenAppend(abs(t, path)); err == nil || !strings.Contains(err.Error(), "is owned by uid 4242") {
		f.Close()
		t.Errorf("got %v", err)
	}
}
