package profiles

import (
	"os"
	"os/exec"
	"testing"
)

func TestBetween(t *testing.T) {
	for _, c := range []struct {
		pid, first, last int
		want             bool
	}{
		{7, 7, 9, true},
		{9, 7, 9, true},
		{6, 7, 9, false},
		{10, 7, 9, false},
		{32000, 31000, 400, true},
		{300, 31000, 400, true},
		{500, 31000, 400, false},
	} {
		if got := between(c.pid, c.first, c.last); got != c.want {
			t.Errorf("%d between %d and %d: %v", c.pid, c.first, c.last, got)
		}
	}
}

func TestEndKillsWhatHasTheHome(t *testing.T) {
	home := t.TempDir()
	cmd := exec.Command("sleep", "1000")
	cmd.Env = append(os.Environ(), "HOME="+home)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	End(home, cmd.Process.Pid)
	if err := cmd.Wait(); err == nil {
		t.Error("the process was not killed")
	}
}
