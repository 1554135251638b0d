package thread

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// child makes this program take other ids before any test runs, from the goroutine
// that is locked to the main thread.
const child = "THREAD_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Exit(m.Run())
	}
	for range 20 {
		if err := Run(func() error { return errors.Join((&IDs{UID: 5001, GID: 5002}).Take(), notOnMain()) }); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Print(field("/proc/self/status", "Uid"))
	os.Exit(0)
}

func notOnMain() error {
	if unix.Gettid() == unix.Getpid() {
		return errors.New("it ran on the main thread")
	}
	return nil
}

// field returns a line of a status file without its name.
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can take other ids")
	}
}

// has compares the ids of the calling thread.
func has(t *testing.T, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := field("/proc/thread-self/status", name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if _, err := os.ReadFile("/etc/shadow"); !errors.Is(err, os.ErrPermission) {
		t.Errorf("reading a file of root's: %v", err)
	}
}

func TestTakeSetsAllIDs(t *testing.T) {
	needRoot(t)
	for _, c := range []struct {
		ids    IDs
		groups string
	}{
		{IDs{UID: 5001, GID: 5002, Groups: []int{7, 8}}, "7 8"},
		{IDs{UID: 5001, GID: 5002}, ""},
	} {
		err := Run(func() error {
			if err := c.ids.Take(); err != nil {
				return err
			}
			has(t, map[string]string{"Uid": "5001 5001 5001 5001", "Gid": "5002 5002 5002 5002", "Groups": c.groups, "CapEff": "0000000000000000"})
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestWithIDsRestores runs on a new thread, which ends with the test.
func TestWithIDsRestores(t *testing.T) {
	needRoot(t)
	refused := errors.New("refused")
	err := Run(func() error {
		before := field("/proc/thread-self/status", "Uid") + field("/proc/thread-self/status", "Gid") + field("/proc/thread-self/status", "CapEff")
		err := (&IDs{UID: 5001, GID: 5002}).WithIDs(func() error {
			has(t, map[string]string{"Uid": "0 5001 0 5001", "Gid": "0 5002 0 5002"})
			return refused
		})
		if err != refused {
			t.Errorf("error %v, want %v", err, refused)
		}
		if after := field("/proc/thread-self/status", "Uid") + field("/proc/thread-self/status", "Gid") + field("/proc/thread-self/status", "CapEff"); after != before {
			t.Errorf("ids and capabilities are %q, were %q", after, before)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestOtherThreadsUnchanged checks every thread of this process.
func TestOtherThreadsUnchanged(t *testing.T) {
	needRoot(t)
	if err := Run((&IDs{UID: 5001, GID: 5002, Groups: []int{7}}).Take); err != nil {
		t.Fatal(err)
	}
	var foreign []string
	deadline := time.Now().Add(time.Minute)
	for { // the kernel may take a moment to end the thread
		foreign = nil
		files, err := filepath.Glob("/proc/self/task/*/status")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			if field(f, "Uid") != "0 0 0 0" || field(f, "Gid") != "0 0 0 0" || field(f, "Groups") == "7" {
				foreign = append(foreign, f)
			}
		}
		if len(foreign) == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if len(foreign) > 0 {
		t.Errorf("threads with other ids are left: %v", foreign)
	}
}

// TestMainThreadUnchanged: its ids decide which accounts may signal the process, and
// it cannot end before the process.
func TestMainThreadUnchanged(t *testing.T) {
	needRoot(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{child + "=1"}
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "0 0 0 0" {
		t.Errorf("%v: the main thread's ids are %q", err, out)
	}
}

// TestStaysUndumpable: with fs.suid_dumpable = 1 the kernel makes a process dumpable
// by a change of ids. Without that setting the test sets the flag itself.
func TestStaysUndumpable(t *testing.T) {
	was, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(was), 0, 0, 0) }()
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := setIDs(uint32(os.Getuid())); err != nil {
		t.Fatal(err)
	}
	if is, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || is != 0 {
		t.Errorf("dumpable is %d: %v", is, err)
	}
}

func TestNilIDs(t *testing.T) {
	ran := false
	if err := (*IDs)(nil).WithIDs(func() error { ran = true; return nil }); err != nil || !ran {
		t.Errorf("ran: %v, %v", ran, err)
	}
	if err := (*IDs)(nil).Take(); err != nil {
		t.Error(err)
	}
}

// TestWithoutCapability drops the capability on a new thread.
func TestWithoutCapability(t *testing.T) {
	for name, missing := range map[string]uint{"CAP_SETUID": unix.CAP_SETUID, "CAP_SETGID": unix.CAP_SETGID, "both": 0} {
		err := Run(func() error {
			head, own := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
			if err := unix.Capget(&head, &own[0]); err != nil {
				return err
			}
			keep := own[0].Effective & (1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID) &^ (1 << missing)
			if missing == 0 {
				keep = 0
			}
			own = [2]unix.CapUserData{{Effective: keep, Permitted: keep}}
			if err := unix.Capset(&head, &own[0]); err != nil {
				return err
			}
			other := &IDs{UID: 5001, GID: 5002, Groups: []int{7}}
			if err := other.WithIDs(func() error { t.Errorf("%s: it ran", name); return nil }); !errors.Is(err, unix.EPERM) {
				t.Errorf("%s: Open: %v, want EPERM", name, err)
			}
			if err := other.Take(); !errors.Is(err, unix.EPERM) {
				t.Errorf("%s: Take: %v, want EPERM", name, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestRunReturnsTheError(t *testing.T) {
	want := errors.New("no")
	if err := Run(func() error { return want }); err != want {
		t.Errorf("%v", err)
	}
	if err := Run(notOnMain); err != nil {
		t.Error(err)
	}
}

func BenchmarkOpen(b *testing.B) {
	own := &IDs{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	for b.Loop() {
		if err := own.WithIDs(func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	for b.Loop() {
		if err := Run(func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
