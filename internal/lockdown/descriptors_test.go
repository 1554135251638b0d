package lockdown

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/setup/syscalls"
)

// inherited opens descriptors that programs would inherit, up to a high number.
func inherited(t *testing.T) (fds []int) {
	t.Helper()
	for _, least := range []int{first, 100, 900} {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD, least)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		fds = append(fds, fd)
	}
	// The first one may be of Go's runtime, which does not pass it on.
	if _, err := unix.FcntlInt(first, unix.F_SETFD, 0); err != nil {
		t.Fatal(err)
	}
	return append(fds, first)
}

func closedOnExec(t *testing.T, fd int) bool {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.FD_CLOEXEC != 0
}

// TestCloseOnExec (A9): by either way all descriptors are closed on execution but 0, 1 and 2.
func TestCloseOnExec(t *testing.T) {
	for name, closeAll := range map[string]func() error{"as the kernel can": CloseOnExec, "by the list": func() error { return closeListed(list) }} {
		fds := inherited(t)
		if err := closeAll(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, fd := range fds {
			if !closedOnExec(t, fd) {
				t.Errorf("%s: %d is inherited", name, fd)
			}
		}
		for fd := range first {
			if closedOnExec(t, fd) {
				t.Errorf("%s: %d is not inherited", name, fd)
			}
		}
	}
}

// TestKernels (A9): a kernel without the call, and one without its flag, take the list; an error that
// is no kernel's is reported.
func TestKernels(t *testing.T) {
	again := func(errno unix.Errno) func(*testing.T) {
		return func(t *testing.T) {
			syscalls.Again(t, []syscalls.Refusal{{Call: unix.SYS_CLOSE_RANGE, Errno: errno}}, "^TestCloseOnExec$", "TestCloseOnExec")
		}
	}
	t.Run("before 5.9", again(unix.ENOSYS))
	t.Run("before 5.11", again(unix.EINVAL))
	t.Run("4.18", func(t *testing.T) { syscalls.Again(t, syscalls.Linux418(), "^TestCloseOnExec$", "TestCloseOnExec") })
	t.Run("a filter", func(t *testing.T) {
		syscalls.Again(t, []syscalls.Refusal{{Call: unix.SYS_CLOSE_RANGE, Errno: unix.EPERM}}, "^TestRefused$", "TestRefused")
	})
}

// TestRefused is for TestKernels.
func TestRefused(t *testing.T) {
	if unix.CloseRange(1<<20, 1<<20, unix.CLOSE_RANGE_CLOEXEC) != unix.EPERM {
		t.Skip("the call is not refused here")
	}
	if err := CloseOnExec(); !errors.Is(err, unix.EPERM) {
		t.Errorf("%v", err)
	}
}

// TestIncompleteList: a list that ends with an error, or has other names than numbers, is an error.
func TestIncompleteList(t *testing.T) {
	broken := errors.New("it cannot be read")
	fd := inherited(t)[0]
	for name, tt := range map[string]struct {
		names []string
		err   error
		want  bool
	}{
		"whole":                 {names: []string{"0", strconv.Itoa(fd)}, want: true},
		"closed meanwhile":      {names: []string{"1048575"}, want: true},
		"broken":                {names: []string{"0", strconv.Itoa(fd)}, err: broken},
		"no number":             {names: []string{"self"}},
		"more than a number is": {names: []string{"99999999999999999999"}},
	} {
		err := closeListed(func() ([]string, error) { return tt.names, tt.err })
		if (err == nil) != tt.want || tt.err != nil && !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if names, err := list(); err != nil || len(names) < 5 {
		t.Errorf("%q, %v", names, err)
	}
}

// TestListOfNoProc: where nothing is mounted on /proc, or another directory, that is an error.
// The test runs itself in a mount namespace.
func TestListOfNoProc(t *testing.T) {
	if os.Getenv("LOCKDOWN_TEST_PROC") != "" {
		if names, err := list(); err == nil {
			t.Errorf("listed %q", names)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a directory on /proc")
	}
	for name, more := range map[string]string{
		"nothing":      "true",
		"an empty one": "mkdir -p /proc/self/fd",
		"of another":   "mkdir -p /proc/self/fd && touch /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2",
	} {
		script := "mount -t tmpfs tmpfs /proc && " + more + ` && exec "$0" -test.run "^TestListOfNoProc$"`
		cmd := exec.Command("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, os.Args[0])
		cmd.Env = append(os.Environ(), "LOCKDOWN_TEST_PROC=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
