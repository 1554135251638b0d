package seccomp

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onAThread runs f on a thread that ends with it: the changes are irreversible.
func onAThread(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		result <- f()
	}()
	return <-result
}

func confine(f Filter) error {
	if err := NoNewPrivs(); err != nil {
		return err
	}
	return f.Load()
}

func TestLoadedFilterApplies(t *testing.T) {
	dir := t.TempDir()
	f := Filter{Block: []Call{call(t, "mkdirat")}}
	err := onAThread(func() error {
		if err := confine(f); err != nil {
			return err
		}
		if err := unix.Mkdirat(unix.AT_FDCWD, filepath.Join(dir, "a"), 0o700); err != unix.EPERM {
			t.Errorf("the blocked call: %v", err)
		}
		if _, err := unix.Openat(unix.AT_FDCWD, dir, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			t.Errorf("a call that is not blocked: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkdirat(unix.AT_FDCWD, filepath.Join(dir, "b"), 0o700); err != nil {
		t.Errorf("on another thread: %v", err)
	}
}

// TestTerminalInjection tries the attack itself, on a terminal that is this
// test's own; errors other than EPERM are the kernel's about the terminal.
func TestTerminalInjection(t *testing.T) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("cannot make a terminal: %v", err)
	}
	defer unix.Close(master)
	for name, request := range map[string]uint{"TIOCSTI": unix.TIOCSTI, "TIOCLINUX": unix.TIOCLINUX} {
		err := onAThread(func() error {
			if err := confine(Filter{}); err != nil {
				return err
			}
			var c byte = 'x'
			if err := unix.IoctlSetPointerInt(master, request, int(c)); err != unix.EPERM {
				t.Errorf("%s: %v", name, err)
			}
			_, err := unix.IoctlGetWinsize(master, unix.TIOCGWINSZ)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestChildrenInherit starts a shell from a confined thread.
func TestChildrenInherit(t *testing.T) {
	var out []byte
	dir, filter := filepath.Join(t.TempDir(), "d"), Filter{Block: []Call{call(t, "mkdir"), call(t, "mkdirat")}}
	err := onAThread(func() error {
		if err := confine(filter); err != nil {
			return err
		}
		cmd := exec.Command("/bin/sh", "-c", `grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status; mkdir "$1" || echo refused`, "sh", dir)
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		var err error
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "refused\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
}

// TestLoadNeedsNoNewPrivs: an unprivileged process may only filter itself with
// no_new_privs, because a filter could otherwise break a setuid program.
func TestLoadNeedsNoNewPrivs(t *testing.T) {
	err := onAThread(func() error { return Filter{}.Load() })
	if root := os.Geteuid() == 0; root != (err == nil) {
		t.Errorf("as root %v: %v", root, err)
	}
}
