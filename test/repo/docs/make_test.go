package docs

import (
	"os/exec"
	"strings"
	"testing"
)

// TestMakeHelp: the list of targets fits on a screen.
func TestMakeHelp(t *testing.T) {
	out, err := exec.Command("make", "--no-print-directory", "-C", top, "help").CombinedOutput()
	if err != nil {
		t.Fatalf("make help: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < 10 || len(lines) > 20 {
		t.Errorf("make help lists %d targets, want 10 to 20", len(lines))
	}
	for _, line := range lines {
		target, text, _ := strings.Cut(line, " ")
		if len(line) > 100 || target == "" || strings.TrimSpace(text) == "" {
			t.Errorf("make help prints %q, want a target and its text in at most 100 characters", line)
		}
	}
}
