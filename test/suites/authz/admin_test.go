package authz

import (
	"os/exec"
	"strings"
	"testing"
)

// admin calls a command for administrators.
func admin(t *testing.T, argv ...string) (out string, status int) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	b, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

func TestAdministrationUsage(t *testing.T) {
	t.Parallel()
	program, file := common(t).Admin, common(t).ConfigFile
	for name, tc := range map[string]struct {
		argv   []string
		want   string
		status int
	}{
		"check without a file":       {[]string{"check"}, "configuration", 2},
		"check with an argument":     {[]string{"check", "--configuration", file, "x"}, "check takes no arguments", 2},
		"check of nothing":           {[]string{"check", "--configuration", "/nonexistent"}, "does not exist", 2},
		"explain without a question": {[]string{"explain", "--configuration", file}, "explain needs one of", 2},
		"explain half a question":    {[]string{"explain", "--configuration", file, "--token", "x"}, "explain needs one of", 2},
		"explain two questions":      {[]string{"explain", "--configuration", file, "--token", "x", "--job-response", "y", "--claims", "z"}, "explain needs one of", 2},
		"explain of nothing":         {[]string{"explain", "--configuration", file, "--claims", "/nonexistent"}, "no such file", 2},
		"keys without a command":     {[]string{"keys"}, "no command", 2},
		"keys with another command":  {[]string{"keys", "forget"}, "no command", 2},
		"keys refresh of nothing":    {[]string{"keys", "refresh", "--configuration", "/nonexistent"}, "does not exist", 1},
		"an unknown flag":            {[]string{"check", "--verbose"}, "no such option: --verbose (see jacamar-admin check --help)", 2},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := admin(t, append([]string{program}, tc.argv...)...)
			if status != tc.status || !strings.Contains(out, tc.want) {
				t.Errorf("status %d: %s", status, out)
			}
		})
	}
}
