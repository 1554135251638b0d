package privdrop

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const reportTerminal = "JACAMAR_TEST_REPORT_TERMINAL"

// TestSessionTerminal runs this test in a session without a terminal, and in one that a
// pseudoterminal controls.
func TestSessionTerminal(t *testing.T) {
	if os.Getenv(reportTerminal) != "" {
		fmt.Println("terminal:", sessionTerminal())
		return
	}
	for _, tt := range []struct {
		name  string
		stdin *os.File
		want  string
	}{
		{"none", nil, "terminal: false"},
		{"a pseudoterminal", pseudoterminal(t), "terminal: true"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSessionTerminal$")
		cmd.Env = append(os.Environ(), reportTerminal+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if tt.stdin != nil {
			cmd.Stdin, cmd.SysProcAttr.Setctty = tt.stdin, true
		}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v, %q, want %q", tt.name, err, out, tt.want)
		}
	}
}

// pseudoterminal is the terminal end of one (pts(4)).
func pseudoterminal(t *testing.T) *os.File {
	t.Helper()
	controller, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudoterminal can be had here: %v", err)
	}
	t.Cleanup(func() { controller.Close() })
	if err := unix.IoctlSetPointerInt(int(controller.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(controller.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal
}

// TestAttributes: only a sudo whose session has no terminal stays in this session.
func TestAttributes(t *testing.T) {
	for _, tt := range []struct {
		program          string
		terminal, leaves bool
	}{
		{SudoPath, false, false},
		{SudoPath, true, true},
		{"/usr/bin/jacamar", false, true},
		{"/usr/bin/jacamar", true, true},
	} {
		got := plan{argv: []string{tt.program}}.attributes(func() bool { return tt.terminal })
		if got.Setsid != tt.leaves || got.Setpgid == tt.leaves {
			t.Errorf("%s, terminal %v: setsid %v, setpgid %v", tt.program, tt.terminal, got.Setsid, got.Setpgid)
		}
	}
}
