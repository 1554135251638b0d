package confine

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/handoff"
	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/seccomp"
)

const confinementEnv = "CONFINE_TEST"

// report is what a program shows that a confined process starts.
const report = `umask; ulimit -Sn; ulimit -Hn; ulimit -Ss; ulimit -Hs; grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status; mkdir "$1" && rmdir "$1"`

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
	var c handoff.Confinement
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	if err := Process(c); err != nil {
		return err
	}
	runtime.LockOSThread()
	if thread := Thread(c); thread != nil {
		if err := thread(); err != nil {
			return err
		}
	}
	cmd := exec.Command("/bin/bash", "-c", report, "bash", os.Args[1])
	cmd.Stdout, cmd.Env = os.Stdout, []string{"PATH=/usr/bin:/bin"}
	_ = cmd.Run()
	return nil
}

func run(t *testing.T, c handoff.Confinement) ([]string, error) {
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

func limit(t *testing.T, text string) rlimit.Limit {
	t.Helper()
	l, err := rlimit.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
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
		confinement handoff.Confinement
		want        map[int]string // by line
	}{
		"by nothing":             {handoff.Confinement{}, map[int]string{0: "0022", 5: "NoNewPrivs:\t0", 6: "Seccomp:\t0"}},
		"by limits":              {handoff.Confinement{Limits: []rlimit.Limit{limit(t, "nofile=100:200")}}, map[int]string{1: "100", 2: "200", 5: "NoNewPrivs:\t0"}},
		"by a limit and a stack": {handoff.Confinement{Limits: []rlimit.Limit{limit(t, "nofile=100")}, RaiseStack: true}, map[int]string{1: "100", 2: "100"}},
		"by no new privileges":   {handoff.Confinement{NoNewPrivs: true}, map[int]string{5: "NoNewPrivs:\t1", 6: "Seccomp:\t0"}},
		"by a filter":            {handoff.Confinement{NoNewPrivs: true, Filter: &seccomp.Filter{}}, map[int]string{5: "NoNewPrivs:\t1", 6: "Seccomp:\t2"}},
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
			if c.confinement.RaiseStack && got[3] != got[4] {
				t.Errorf("the stack's limits are %s and %s", got[3], got[4])
			}
		})
	}
	if _, err := run(t, handoff.Confinement{NoNewPrivs: true, Filter: &seccomp.Filter{Block: block}}); err != nil {
		t.Errorf("a blocked call stopped more than itself: %v", err)
	}
}

// TestLimitOutOfReach asks for more than the hard limit, which is told as the
// site's fault.
func TestLimitOutOfReach(t *testing.T) {
	if mayRaise(t) {
		t.Skip("this process may raise limits: none is out of its reach")
	}
	got, err := run(t, handoff.Confinement{Limits: []rlimit.Limit{limit(t, "locks=10"), limit(t, "locks=20")}})
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

func TestNothingToGiveUp(t *testing.T) {
	if Thread(handoff.Confinement{Filter: &seccomp.Filter{}}) != nil {
		t.Error("without no_new_privs a filter cannot be set, and must not be tried")
	}
}
