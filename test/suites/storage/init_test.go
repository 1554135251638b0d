package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestInitReplacedDirectory (C13) runs `jacamar-admin init --runner-config` as root
// on a file in a directory of the service account, which continuously replaces the
// directory by a link to one of root's. Nothing may be written there, whatever init's
// result.
func TestInitReplacedDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, whose init it is")
	}
	runs := 300
	if testing.Short() {
		runs = 100
	}
	s := site.New(t)
	service, err := site.LookupAccount(s.Accounts.Runner)
	testutil.Must(t, err)
	home, roots := filepath.Join(s.Dir, "home"), filepath.Join(s.Dir, "roots")
	testutil.Must(t, made(home, 0o755, service.UID, service.GID), made(home+"/gr", 0o2777, service.UID, service.GID), made(roots, 0o700, 0, 0))
	testutil.Must(t, unix.Chmod(home+"/gr", 0o2755))
	const text = "[[runners]]\n  name = \"hpc\"\n"
	testutil.Must(t, os.WriteFile(roots+"/config.toml", []byte(text), 0o600))
	// In this directory is no jacamar-admin that init could become for its check.
	program := filepath.Join(s.Dir, "init")
	testutil.Must(t, exec.Command("cp", s.Admin, program).Run(), os.Chmod(program, 0o700))
	for name, target := range map[string]string{"an absolute link": roots, "a relative link": "../roots"} {
		t.Run(name, func(t *testing.T) {
			testutil.Must(t, os.Symlink(target, home+"/link"), os.Lchown(home+"/link", int(service.UID), int(service.GID)))
			swaps, stop := swapper(service, home+"/gr", home+"/link")
			merged, refused := 0, 0
			for i := range runs {
				testutil.Must(t, reset(home, text, service))
				out, err := exec.Command(program, "init", "--configuration", fmt.Sprintf("%s/jacamar-%d.toml", s.Dir, i), "--gitlab-server", s.GitLab.URL, "--tls-ca-file", s.GitLab.CAFile,
					"--deployment", "caps", "--executor", "shell", "--data-dir", "$HOME", "--service", service.Name, "--runner-config", home+"/gr/config.toml", "--force").CombinedOutput()
				if err == nil {
					t.Fatalf("init succeeded although there is no program for its check:\n%s", out)
				}
				if strings.Contains(string(out), "added it to a runner") {
					merged++
				} else {
					refused++
				}
			}
			testutil.Must(t, stop())
			t.Logf("%d merged, %d refused, %d swaps", merged, refused, swaps.Load())
			if merged == 0 || refused == 0 {
				t.Error("the swapper never affected init")
			}
			if got := below(t, roots); len(got) != 1 {
				t.Errorf("root's directory has %v", got)
			}
			if got, err := os.ReadFile(roots + "/config.toml"); err != nil || string(got) != text {
				t.Errorf("%v; root's file has\n%s", err, got)
			}
			info, err := os.Stat(home + "/gr/config.toml")
			testutil.Must(t, err)
			if info.Mode() != 0o660 && info.Mode() != 0o666 { // the last one may not have been merged
				t.Errorf("the file has mode %v", info.Mode())
			}
			testutil.Must(t, os.Remove(home+"/link"))
		})
	}
}

// reset gives the service its file back, open to all, wherever its directory is now.
func reset(home, text string, service site.Account) error {
	for _, dir := range []string{"gr", "link"} {
		path := filepath.Join(home, dir)
		if info, err := os.Lstat(path); err != nil || !info.IsDir() {
			continue
		}
		fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		file := fmt.Sprintf("/proc/self/fd/%d/config.toml", fd)
		err = errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chmod(file, 0o666), os.Chown(file, int(service.UID), int(service.GID)))
		unix.Close(fd)
		return err
	}
	return nil // it was swapped between the two looks
}

// swapper exchanges two entries as the account until the returned function is called,
// which restores them.
func swapper(a site.Account, one, two string) (swaps *atomic.Int64, stop func() error) {
	swaps = new(atomic.Int64)
	over, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := errors.Join(unix.Setfsgid(int(a.GID)), unix.Setfsuid(int(a.UID))); err != nil {
			ended <- err
			return
		}
		swap := func() error { return unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, two, unix.RENAME_EXCHANGE) }
		for {
			select {
			case <-over:
				var err error
				if info, lerr := os.Lstat(one); lerr == nil && info.Mode()&fs.ModeSymlink != 0 {
					err = swap()
				}
				ended <- err
				return
			default:
			}
			if swap() == nil {
				swaps.Add(1)
			}
			for range 20 {
				runtime.Gosched()
			}
		}
	}()
	return swaps, func() error {
		close(over)
		return <-ended
	}
}
