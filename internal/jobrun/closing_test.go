package jobrun

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRoundTime: what a reader needs of a duration.
func TestRoundTime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		40 * time.Millisecond: "0s", 1234 * time.Millisecond: "1.2s", 59900 * time.Millisecond: "59.9s", 60400 * time.Millisecond: "1m0s", 3661700 * time.Millisecond: "1h1m2s",
	} {
		if got := roundTime(d).String(); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestMemoryKills(t *testing.T) {
	for text, want := range map[string]int64{
		"pgfault 3\noom_kill 12\nnumber 4\n": 12, "oom_kill 0\n": 0, "pgfault 3\n": 0, "": 0, "oom_kill x\n": 0, "x_oom_kill 7\n": 0,
	} {
		file := filepath.Join(t.TempDir(), "vmstat")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := memoryKills(file); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if countersOf(true) != "" || countersOf(false) != kernelCounters {
		t.Error("the counters of another machine are read")
	}
	if got := memoryKills("/nonexistent"); got != 0 {
		t.Errorf("without the file: %d", got)
	}
	if text, err := os.ReadFile(kernelCounters); err == nil && !strings.Contains(string(text), "\noom_kill ") {
		t.Errorf("%s has no oom_kill", kernelCounters)
	}
}

func TestMemoryWarning(t *testing.T) {
	for after, want := range map[int64]string{4: "", 5: "", 6: "ended a process", 8: "ended 3 processes"} {
		if got := memoryWarning(5, after); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%d: %q", after, got)
		}
	}
}
