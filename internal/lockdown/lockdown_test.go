package lockdown

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/setup/syscalls"
)

// seen is the state of the test program after Enter, and of its child.
type seen struct {
	Environ  []string // that Enter returned
	Left     []string // after Enter
	Core     uint64   // that Enter returned
	CoreNow  uint64
	Dumpable int
	Umask    int
	Dir      string
	FDs      string // ls has one of its own, the directory that it lists
	Ignored  string
	Err      string
}

const order = "LOCKDOWN_TEST"

// TestMain lets the test program act as jacamar-auth.
func TestMain(m *testing.M) {
	syscalls.Main()
	if os.Getenv(order) == "" {
		os.Exit(m.Run())
	}
	var s seen
	was, err := Enter()
	if err != nil {
		s.Err = err.Error()
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		s.Err = err.Error()
	}
	s.Environ, s.Left, s.Core, s.CoreNow = was.Environ, os.Environ(), was.Core.Cur, core.Cur
	s.Dumpable, _ = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	s.Umask = unix.Umask(0)
	s.Dir, _ = os.Getwd()
	s.FDs = child("/bin/ls", "/proc/self/fd")
	s.Ignored = child("/bin/grep", "SigIgn", "/proc/self/status")
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		os.Exit(1)
	}
}

func child(name string, args ...string) string {
	cmd := exec.Command(name, args...)
	cmd.Env = []string{}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// enter starts the test program by a shell that first runs the commands of stage.
func enter(t *testing.T, stage string, env ...string) seen {
	t.Helper()
	cmd := exec.Command("/bin/bash", "-c", stage+"\nexec \"$0\"", os.Args[0])
	cmd.Env = append([]string{order + "=1"}, env...)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	var s seen
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	if err != nil || s.Err != "" {
		t.Fatalf("%v %s: %s", err, s.Err, out)
	}
	return s
}

func TestEnvironmentIsCleared(t *testing.T) {
	hostile := []string{"LD_PRELOAD=", "SSL_CERT_FILE=/tmp/ca", "HTTPS_PROXY=http://evil", "TMPDIR=/tmp/evil", "BASH_ENV=/tmp/x", "CUSTOM_ENV_A=b c", "EMPTY="}
	s := enter(t, "", hostile...)
	for _, pair := range hostile {
		if !slices.Contains(s.Environ, pair) {
			t.Errorf("Enter did not return %q", pair)
		}
	}
	if len(s.Left) != 0 {
		t.Errorf("left: %q", s.Left)
	}
}

func TestDirectoryAndModes(t *testing.T) {
	s := enter(t, "umask 0")
	if s.Dir != "/" || s.Umask != 0o077 || s.Dumpable != 0 {
		t.Errorf("%+v", s)
	}
}

func TestCallerDirectoryRemoved(t *testing.T) {
	if s := enter(t, `mkdir d && cd d && rmdir ../d`); s.Dir != "/" {
		t.Errorf("%+v", s)
	}
}

func TestNoCoreFile(t *testing.T) {
	for stage, want := range map[string]uint64{"ulimit -c unlimited": unix.RLIM_INFINITY, "ulimit -Sc 3": 3 * 1024, "ulimit -c 0": 0} {
		if s := enter(t, stage); s.Core != want || s.CoreNow != 0 {
			t.Errorf("%s: the limit was %d and is %d", stage, s.Core, s.CoreNow)
		}
	}
}

func TestDescriptorsNotInherited(t *testing.T) {
	for name, stage := range map[string]string{
		"leaked":        "for n in {3..200}; do eval \"exec $n</etc/passwd\"; done",
		"a directory":   "exec 3</ 99</root 2>&1",
		"none but ours": "",
	} {
		if s := enter(t, stage); s.FDs != "0 1 2 3" {
			t.Errorf("%s: the child has %q", name, s.FDs)
		}
	}
}

// TestOnLinux418: the state is the same on the oldest kernel.
func TestOnLinux418(t *testing.T) {
	named := []string{"TestDescriptorsNotInherited", "TestClosedDescriptorsAreOpened", "TestDirectoryAndModes", "TestIgnoredSignalsAreReset", "TestNoCoreFile"}
	syscalls.Again(t, syscalls.Linux418(), "^("+strings.Join(named, "|")+")$", named...)
}

// TestClosedDescriptorsAreOpened closes each of 0 and 2; 1 carries the result.
func TestClosedDescriptorsAreOpened(t *testing.T) {
	for _, stage := range []string{"exec 0<&-", "exec 2>&-", "exec 0<&- 2>&-"} {
		if s := enter(t, stage); s.FDs != "0 1 2 3" {
			t.Errorf("%s: the child has %q", stage, s.FDs)
		}
	}
}

func TestIgnoredSignalsAreReset(t *testing.T) {
	s := enter(t, "trap '' HUP INT QUIT USR1 TERM PIPE ALRM CHLD TSTP TTIN TTOU XCPU XFSZ  36")
	if s.Ignored != "SigIgn: 0000000000000000" {
		t.Errorf("the child has %q", s.Ignored)
	}
	if n := int(syscall.SIGKILL); sigaction(n, nil, new(sigAction)) != nil {
		t.Error("the action of a signal that cannot be changed cannot be read")
	}
	if sigaction(signals+1, nil, new(sigAction)) == nil {
		t.Error("there is a signal 65")
	}
}
