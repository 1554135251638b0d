package confine

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/seccomp"
	"jacamar-ci/internal/settings"
)

const confinementEnv = "CONFINE_TEST"

// report is what a program shows that a confined process starts.
const report = `umask; ulimit -Sn; ulimit -Hn; ulimit -Ss; ulimit -Hs; grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status
flags() { who=$1; shift; echo "$who" $(sed -nE 's/^(NoNewPrivs|Seccomp_filters):\s*//p' "$@" | paste -d' ' - - | sort -u); }
flags process /proc/$PPID/task/*/status; flags program /proc/self/status; ls -d /proc/$PPID/task/* | wc -l
mkdir "$1" && rmdir "$1"`

// TestMain lets the test program stand in for jacamar: what it gives up there is
// no way back from.
func TestMain(m *testing.M) {
	text := os.Getenv(confinementEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	if err := confined([]byte(text)); err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func confined(text []byte) error {
	var c settings.Confinement
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	if err := Process(c); err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- confinedThread(c)
	}()
	return <-done
}

func confinedThread(c settings.Confinement) error {
	if err := Job(c); err != nil {
		return err
	}
	cmd := exec.Command("/bin/bash", "-c", report, "bash", os.Args[1])
	cmd.Stdout, cmd.Env = os.Stdout, []string{"PATH=/usr/bin:/bin"}
	_ = cmd.Run()
	return nil
}

func run(t *testing.T, c settings.Confinement) ([]string, error) {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], t.TempDir()+"/d")
	cmd.Env = []string{confinementEnv + "=" + string(text)}
	out, err := cmd.Output()
	return strings.Split(strings.TrimSpace(string(out)), "\n"), err
}

func limit(t *testing.T, text string) rlimit.Range {
	t.Helper()
	r, err := rlimit.ParseRange(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConfined(t *testing.T) {
	var mkdir seccomp.Call
	if err := mkdir.UnmarshalText([]byte("mkdirat")); err != nil {
		t.Fatal(err)
	}
	block := []seccomp.Call{mkdir}
	if other, err := seccomp.ParseCall("mkdir"); err == nil {
		block = append(block, other)
	}
	for name, c := range map[string]struct {
		confinement settings.Confinement
		want        map[int]string // by line
	}{
		"by nothing":             {settings.Confinement{}, map[int]string{0: "0022", 5: "NoNewPrivs:\t0", 6: "Seccomp:\t0"}},
		"by limits":              {settings.Confinement{Limits: settings.Limits{NoFile: limit(t, "100:200")}}, map[int]string{1: "100", 2: "200", 5: "NoNewPrivs:\t0"}},
		"by a limit and a stack": {settings.Confinement{Limits: settings.Limits{NoFile: limit(t, "100")}, SetStackSize: true}, map[int]string{1: "100", 2: "100"}},
		"by no new privileges":   {settings.Confinement{NoNewPrivs: true, Seccomp: settings.Seccomp{Disabled: true}}, map[int]string{5: "NoNewPrivs:\t1", 6: "Seccomp:\t0"}},
		"by a filter":            {settings.Confinement{NoNewPrivs: true}, map[int]string{5: "NoNewPrivs:\t1", 6: "Seccomp:\t2"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := run(t, c.confinement)
			if err != nil || len(got) < 7 {
				t.Fatal(err, got)
			}
			for line, want := range c.want {
				if got[line] != want {
					t.Errorf("line %d is %q, want %q: %q", line, got[line], want, got)
				}
			}
			if c.confinement.SetStackSize && got[3] != got[4] {
				t.Errorf("the stack's limits are %s and %s", got[3], got[4])
			}
		})
	}
	if _, err := run(t, settings.Confinement{NoNewPrivs: true, Seccomp: settings.Seccomp{BlockCalls: block}}); err != nil {
		t.Errorf("a blocked call stopped more than itself: %v", err)
	}
}

// TestLimitOutOfReach asks for more than the hard limit, which is reported as the
// site's fault.
func TestLimitOutOfReach(t *testing.T) {
	if mayRaise(t) {
		t.Skip("this process may raise limits: none is out of its reach")
	}
	low := unix.Rlimit{Cur: 10, Max: 10}
	if err := unix.Setrlimit(unix.RLIMIT_LOCKS, &low); err != nil {
		t.Fatal(err)
	}
	got, err := run(t, settings.Confinement{Limits: settings.Limits{Locks: limit(t, "20")}})
	if err == nil || !strings.HasPrefix(got[0], "cannot set the job's limits: locks=20:20: operation not permitted (the hard limit is 10)") {
		t.Errorf("%q %v", got, err)
	}
}

func mayRaise(t *testing.T) bool {
	t.Helper()
	var data [2]unix.CapUserData
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&head, &data[0]); err != nil {
		t.Fatal(err)
	}
	return data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}

// TestWholeProcess: what confines the job confines all threads of the process that
// starts it, but for the calls that the process itself needs. Under a list that
// leaves these out the thread has one filter more than the rest.
func TestWholeProcess(t *testing.T) {
	parse := func(names ...string) (calls []seccomp.Call) {
		for _, name := range names {
			c, err := seccomp.ParseCall(name)
			if err != nil {
				t.Fatal(err)
			}
			calls = append(calls, c)
		}
		return calls
	}
	for name, c := range map[string]struct {
		confinement      settings.Confinement
		process, program string // flag and number of filters
	}{
		"nothing":                {settings.Confinement{}, "0 0", "0 0"},
		"a filter without flag":  {settings.Confinement{Seccomp: settings.Seccomp{BlockCalls: parse("ptrace")}}, "0 0", "0 0"},
		"the flag alone":         {settings.Confinement{NoNewPrivs: true, Seccomp: settings.Seccomp{Disabled: true}}, "1 0", "1 0"},
		"the filter":             {settings.Confinement{NoNewPrivs: true}, "1 1", "1 1"},
		"calls that it can miss": {settings.Confinement{NoNewPrivs: true, Seccomp: settings.Seccomp{BlockCalls: parse("ptrace", "bpf")}}, "1 1", "1 1"},
		// The thread is one of the process.
		"calls that it needs": {settings.Confinement{NoNewPrivs: true, Seccomp: settings.Seccomp{BlockCalls: parse("pidfd_open")}}, "1 1 1 2", "1 2"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := run(t, c.confinement)
			if err != nil || len(got) < 10 {
				t.Fatal(err, got)
			}
			if got[7] != "process "+c.process || got[8] != "program "+c.program {
				t.Errorf("%q, want process %s and program %s", got[7:9], c.process, c.program)
			}
		})
	}
}

// TestNeededIsNoWayOut: what jacamar keeps for itself gives a job that took it over
// no other program, account, host or device.
func TestNeededIsNoWayOut(t *testing.T) {
	known := own()
	if len(known) < 80 {
		t.Errorf("only %d calls of the list are known here", len(known))
	}
	for _, out := range []string{
		"ptrace", "process_vm_writev", "pidfd_getfd", "socket", "connect", "bpf", "mount", "unshare", "setns", "keyctl", "io_uring_setup", "personality",
		"setuid", "ioctl", "perf_event_open", "userfaultfd", "chroot", "mknodat", "open_by_handle_at", "init_module",
	} {
		c, err := seccomp.ParseCall(out)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(known, c) {
			t.Errorf("%s is among them", out)
		}
	}
}
