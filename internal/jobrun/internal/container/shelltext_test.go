package container

import (
	"os/exec"
	"testing"
)

// A line of a value is no variable, and a variable that is empty is one.
func TestPassed(t *testing.T) {
	for _, shell := range []string{"bash", "dash"} {
		cmd := exec.Command(shell, "-c", "set -f\n"+Passed+`show() { echo "$1"; }; passed show | sort -u`)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "jc_pass=ONE S_* EMPTY", "ONE=1", "S_1=a b", "S_2=x\nS_3=3\nONE=2", "OTHER=y\nS_4=4\nEMPTY=5", "EMPTY="}
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "EMPTY\nONE\nS_1\nS_2\n" {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
}
