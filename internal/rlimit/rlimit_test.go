package rlimit

import (
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
)

func TestParseRange(t *testing.T) {
	for text, want := range map[string]Range{
		"0":                   {true, 0, 0},
		"1024":                {true, 1024, 1024},
		"1024:4096":           {true, 1024, 4096},
		"7:7":                 {true, 7, 7},
		"unlimited":           {true, Unlimited, Unlimited},
		"8M:unlimited":        {true, 8 << 20, Unlimited},
		"1K:1M":               {true, 1 << 10, 1 << 20},
		"2G:3T":               {true, 2 << 30, 3 << 40},
		"9223372036854775807": {true, math.MaxInt64, math.MaxInt64},
		"8388607T":            {true, 8388607 << 40, 8388607 << 40},
	} {
		if got, err := ParseRange(text); err != nil || got != want {
			t.Errorf("%q: %+v %v, want %+v", text, got, err, want)
		}
	}
}

func TestParseRangeRefuses(t *testing.T) {
	for _, text := range []string{
		"", ":", "1:", ":1", "-1", "+1", "1.5", "0x10", "1 2", " 1", "1:2:3", "K", "1k", "1MB", "infinity", "-", "2:1", "unlimited:1",
		"9223372036854775808", "8388608T", "18446744073709551615", "99999999999999999999", "1\n", "1_000",
	} {
		if r, err := ParseRange(text); err == nil || r.IsSet() {
			t.Errorf("%q is %+v, %v", text, r, err)
		}
	}
}

func TestZeroRangeIsNotSet(t *testing.T) {
	none, err := ParseRange("0")
	if (Range{}).IsSet() || err != nil || !none.IsSet() {
		t.Errorf("a range of none (%+v, %v) must differ from no range", none, err)
	}
}

func TestLimitText(t *testing.T) {
	if got := (Limit{"nofile", Range{true, 1, Unlimited}}).String(); got != "nofile=1:unlimited" {
		t.Error(got)
	}
}

// reportEnv holds the limits that the test program sets on itself.
const reportEnv = "RLIMIT_TEST_SET"

// TestMain lets the test program act as one that sets limits on itself and then
// executes a program that shows them.
func TestMain(m *testing.M) {
	settings := os.Getenv(reportEnv)
	if settings == "" {
		os.Exit(m.Run())
	}
	for _, setting := range strings.Fields(settings) {
		if err := apply(setting); err != nil {
			os.Stdout.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
	}
	cmd := exec.Command("/bin/cat", "/proc/self/limits")
	cmd.Stdout = os.Stdout
	if err := cmd.Run(); err != nil {
		os.Exit(2)
	}
}

func apply(setting string) error {
	if setting == "stack" {
		return RaiseStack()
	}
	text, raise := strings.CutPrefix(setting, "raise:")
	name, value, _ := strings.Cut(text, "=")
	r, err := ParseRange(value)
	if err != nil {
		return err
	}
	l := Limit{name, r}
	if raise {
		return l.RaiseHard()
	}
	return l.Set(0)
}

// seen starts the test program again, sets limits in it, and returns what a child
// of it has.
func seen(t *testing.T, before func(pid int), settings ...string) (map[string]string, error) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `echo && read go && exec "$0"`, os.Args[0])
	cmd.Env = []string{reportEnv + "=" + strings.Join(settings, " ")}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The shell prints a line once it runs: at the end of execve(2) the kernel still
	// sets the stack limit that it had at the beginning.
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	before(cmd.Process.Pid)
	stdin.Write([]byte("go\n"))
	stdin.Close()
	out, _ := io.ReadAll(stdout)
	err = cmd.Wait()
	limits := map[string]string{"": string(out)}
	for line := range strings.Lines(string(out)) {
		if len(line) > 60 {
			limits[strings.TrimSpace(line[:26])] = strings.Join(strings.Fields(line[26:67]), ":")
		}
	}
	return limits, err
}

func TestSetReachesChildren(t *testing.T) {
	got, err := seen(t, func(int) {}, "nofile=100:200", "core=0", "stack=4M:6M", "cpu=600:900", "nproc=3000:4000", "fsize=1G:2G")
	if err != nil {
		t.Fatal(err, got[""])
	}
	for name, want := range map[string]string{
		"Max open files": "100:200", "Max core file size": "0:0", "Max stack size": "4194304:6291456",
		"Max cpu time": "600:900", "Max processes": "3000:4000", "Max file size": "1073741824:2147483648",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// TestRaiseStack starts with the soft limit that the kernel leaves to a program
// with file capabilities.
func TestRaiseStack(t *testing.T) {
	got, err := seen(t, func(pid int) {
		if err := (Limit{"stack", Range{true, 1 << 20, 16 << 20}}).Set(pid); err != nil {
			t.Error(err)
		}
	}, "stack")
	if err != nil || got["Max stack size"] != "16777216:16777216" {
		t.Errorf("%q %v", got["Max stack size"], err)
	}
}

// mayRaise reports whether this process has CAP_SYS_RESOURCE, which even root may
// lack in a container.
func mayRaise(t *testing.T) bool {
	t.Helper()
	held, err := capability.Effective()
	if err != nil {
		t.Fatal(err)
	}
	return held.Has(unix.CAP_SYS_RESOURCE)
}

// TestOnlyThePrivilegedRaise lowers a hard limit and raises it again.
func TestOnlyThePrivilegedRaise(t *testing.T) {
	got, err := seen(t, func(int) {}, "locks=10", "locks=20")
	if mayRaise(t) {
		if err != nil || got["Max file locks"] != "20:20" {
			t.Errorf("%v %v", got, err)
		}
		return
	}
	if err == nil || !strings.Contains(got[""], "locks=20:20: operation not permitted (the hard limit is 10)") {
		t.Errorf("%v %v", got[""], err)
	}
}

func TestRaiseHard(t *testing.T) {
	got, err := seen(t, func(int) {}, "locks=10:20", "raise:locks=5:15")
	if err != nil || got["Max file locks"] != "10:20" {
		t.Errorf("a limit was lowered: %v %v", got["Max file locks"], err)
	}
	got, err = seen(t, func(int) {}, "locks=10:20", "raise:locks=15:30")
	if mayRaise(t) {
		if err != nil || got["Max file locks"] != "10:30" {
			t.Errorf("%v %v", got["Max file locks"], err)
		}
		return
	}
	if err == nil || !strings.Contains(got[""], "operation not permitted (the hard limit is 20)") {
		t.Errorf("%v %v", got[""], err)
	}
}

func TestSetEndedProcess(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if err := (Limit{"core", Range{true, 0, 0}}).Set(cmd.Process.Pid); err != nil {
		t.Error(err)
	}
	if err := (Limit{Resource: "nothing"}).Set(0); err == nil {
		t.Error("a resource that does not exist was limited")
	}
}

// TestNumbersAreTheKernels reads each resource by its number and by its name.
func TestNumbersAreTheKernels(t *testing.T) {
	text, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	for name, shown := range map[string]string{
		"as": "Max address space", "core": "Max core file size", "cpu": "Max cpu time", "data": "Max data size", "fsize": "Max file size",
		"locks": "Max file locks", "memlock": "Max locked memory", "msgqueue": "Max msgqueue size", "nice": "Max nice priority",
		"nproc": "Max processes", "rss": "Max resident set", "rtprio": "Max realtime priority", "rttime": "Max realtime timeout",
		"sigpending": "Max pending signals", "stack": "Max stack size", "nofile": "Max open files",
	} {
		n, ok := resourceNumber(name)
		var has unix.Rlimit
		if err := unix.Getrlimit(n, &has); !ok || err != nil {
			t.Fatal(name, err)
		}
		_, after, _ := strings.Cut(string(text), "\n"+shown)
		f := strings.Fields(after)
		if len(f) < 2 || (f[1] != format(has.Max) && f[1] != strconv.FormatUint(has.Max, 10)) {
			t.Errorf("%s: the kernel shows %v for %q, number %d has %s", name, f[:min(len(f), 2)], shown, n, format(has.Max))
		}
	}
}
