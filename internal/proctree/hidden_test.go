package proctree

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHiddenChild: Own lists a child that /proc hides from this account (hidepid in
// proc(5)), since it executes a file that the account cannot read. The test runs itself as
// another account, in a process namespace whose /proc hides processes.
func TestHiddenChild(t *testing.T) {
	if program := os.Getenv("PROCTREE_HIDDEN"); program != "" {
		cmd := sleeper(t, program, "1000")
		if _, shown := Find(cmd.Process.Pid); shown {
			t.Error("it is not hidden")
		}
		if own := Own(); !slices.Contains(own, cmd.Process.Pid) {
			t.Errorf("%d is not in %v", cmd.Process.Pid, own)
		}
		m, err := Hold(cmd.Process.Pid)
		if hidden := hiddenError(cmd.Process.Pid); (m.fd == byStart) != errors.Is(err, hidden) || m.fd != byStart && !m.Alive() {
			t.Errorf("held as %+v: %v", m, err)
		}
		m.Close()
		if err := (Member{cmd.Process.Pid, m.Start, byStart}).Signal(unix.SIGKILL); !errors.Is(err, hiddenError(cmd.Process.Pid)) || unix.Kill(cmd.Process.Pid, 0) != nil {
			t.Errorf("by its start it was signalled: %v", err)
		}
		return
	}
	if !hasLists() {
		t.Skip("the kernel has no lists of children")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can mount /proc")
	}
	dir := t.TempDir()
	for _, path := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, program := filepath.Join(dir, "self"), filepath.Join(dir, "sleep")
	for from, to := range map[string]string{os.Args[0]: self, "/bin/sleep": program} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount", "sh", "-c",
		`mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0" -test.run '^TestHiddenChild$'`, self)
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "PROCTREE_HIDDEN="+program)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
