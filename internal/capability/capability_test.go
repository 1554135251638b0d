package capability

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestIdentity(t *testing.T) {
	for text, want := range map[string]bool{
		"         0          0 4294967295\n":                                   true,
		"         0       1000          1\n":                                   false,
		"         0     100000      65536\n":                                   false,
		"         0          0       1000\n":                                   false,
		"         0          0 4294967295\n         1          1          1\n": false,
		"": false,
	} {
		if isIdentity(strings.Fields(text)) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// TestUserNamespaceMap runs this test program in a user namespace too.
func TestUserNamespaceMap(t *testing.T) {
	const inside = "CAPABILITY_TEST_NAMESPACE"
	foreign, err := UserNamespaceMap()
	if os.Getenv(inside) != "" {
		if err != nil || !strings.HasPrefix(foreign, "/proc/self/uid_map: 0 ") {
			t.Errorf("%q, %v", foreign, err)
		}
		if CanSwitchAccounts() {
			t.Error("this process is reported to be able to switch accounts of the machine")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(foreign, ": 0 0 4294967295") {
		t.Errorf("the initial namespace is reported as one with the map %q", foreign)
	}
	if foreign != "" {
		t.Skipf("the ids of this test are not the machine's: %q", foreign)
	}
	cmd := exec.Command("/usr/bin/unshare", "--user", "--map-root-user", os.Args[0], "-test.run", "^TestUserNamespaceMap$")
	cmd.Env = []string{inside + "=1"}
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "unshare") {
		t.Skipf("cannot make a user namespace: %s", out)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestSet(t *testing.T) {
	s := Set{1 << unix.CAP_SETUID, 1 << (unix.CAP_BPF - 32)}
	for bit, want := range map[uint]bool{unix.CAP_SETUID: true, unix.CAP_BPF: true, unix.CAP_SETGID: false, unix.CAP_PERFMON: false} {
		if s.Has(bit) != want {
			t.Errorf("capability %d: %v", bit, !want)
		}
	}
	held, err := Effective()
	if err != nil || (os.Geteuid() != 0 && held.Has(unix.CAP_SETUID)) {
		t.Errorf("%v, %v", held, err)
	}
}

// TestCanSwitchAccounts also runs this test program where no file can be opened: a
// failed query does not count as "no".
func TestCanSwitchAccounts(t *testing.T) {
	const blind = "CAPABILITY_TEST_BLIND"
	held, err := Effective()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(blind) != "" {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{}); err != nil {
			t.Fatal(err)
		}
		if _, err := UserNamespaceMap(); err == nil {
			t.Error("the maps can still be read")
		}
		if CanSwitchAccounts() != held.Has(unix.CAP_SETUID) {
			t.Errorf("it is %v", CanSwitchAccounts())
		}
		return
	}
	foreign, err := UserNamespaceMap()
	if want := held.Has(unix.CAP_SETUID) && foreign == ""; err != nil || CanSwitchAccounts() != want {
		t.Errorf("%v, want %v: %v", CanSwitchAccounts(), want, err)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestCanSwitchAccounts$")
	cmd.Env = []string{blind + "=1"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestDropInheritable runs on a thread that passes a capability to the programs that it
// starts, and then ends.
func TestDropInheritable(t *testing.T) {
	type passed struct {
		inheritable uint32
		ambient     int
	}
	read := func() (p passed, err error) {
		data, err := ThreadSets()
		ambient, aerr := unix.PrctlRetInt(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, unix.CAP_CHOWN, 0, 0)
		return passed{data[0].Inheritable | data[1].Inheritable, ambient}, errors.Join(err, aerr)
	}
	pass := func() error {
		data, err := ThreadSets()
		data[0].Inheritable |= 1 << unix.CAP_CHOWN
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		return errors.Join(err, unix.Capset(&head, &data[0]), unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_CHOWN, 0, 0))
	}
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		defer close(done)
		if held, err := Effective(); err != nil || held.Has(unix.CAP_CHOWN) {
			if err := errors.Join(err, pass()); err != nil {
				t.Error(err)
				return
			}
			if before, err := read(); err != nil || before != (passed{1 << unix.CAP_CHOWN, 1}) {
				t.Errorf("before: %+v, %v", before, err)
			}
		}
		if err := DropInheritable(); err != nil {
			t.Error(err)
		}
		if after, err := read(); err != nil || after != (passed{}) {
			t.Errorf("after: %+v, %v", after, err)
		}
	}()
	<-done
}

func TestMayChangeIDs(t *testing.T) {
	for _, tt := range []struct {
		held Set
		err  error
		want bool
	}{
		{Set{}, nil, false},
		{Set{1 << unix.CAP_SETUID}, nil, true},
		{Set{1 << unix.CAP_SETGID}, nil, true},
		{Set{1 << unix.CAP_KILL}, nil, false},
		{Set{}, unix.EPERM, true},
	} {
		if got := mayChangeIDs(tt.held, tt.err); got != tt.want {
			t.Errorf("%v %v: %v", tt.held, tt.err, got)
		}
	}
}

func TestMayBeInitial(t *testing.T) {
	if !mayBeInitial("", nil) || mayBeInitial("0 1000 1", nil) || !mayBeInitial("", unix.EPERM) {
		t.Error("a namespace is taken for another kind")
	}
}
