package namespace

import (
	"os"
	"strings"
	"testing"
)

func TestNamespaceLeavesHostUnchanged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a mount namespace")
	}
	before, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	n := Start(t)
	line := "jci-inside:x:4242:4242::/nonexistent:/bin/sh\n"
	if err := n.Put("/etc/passwd", string(before)+line, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := n.Run("getent", "passwd", "jci-inside"); err != nil || out != line {
		t.Errorf("inside: %q, %v", out, err)
	}
	if after, err := os.ReadFile("/etc/passwd"); err != nil || string(after) != string(before) {
		t.Error("the machine's own file was changed")
	}
	if err := n.Empty("/run"); err != nil {
		t.Fatal(err)
	}
	if out, err := n.Run("ls", "-A", "/run"); err != nil || out != "" {
		t.Errorf("inside: %q, %v", out, err)
	}
	if _, err := n.Run("sh", "-c", "exit 3"); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
}

func TestEnterKeepsTheProcess(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a mount namespace")
	}
	n := Start(t)
	out, err := n.Run("sh", "-c", `echo "$1 $(readlink /proc/$$/ns/pid)"`, "sh", "a b")
	own, lerr := os.Readlink("/proc/self/ns/pid")
	if err != nil || lerr != nil || out != "a b "+own+"\n" {
		t.Errorf("%q, %v, %v", out, err, lerr)
	}
}
