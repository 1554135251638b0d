package container

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"jacamar-ci/internal/cell"
)

// command prepares a wrapped command as an ordinary account without privileges.
func command(t *testing.T, c Command) *exec.Cmd {
	t.Helper()
	for _, program := range (Cell{}).Programs() {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	argv := c.Argv
	if os.Geteuid() == 0 {
		argv = append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--no-new-privs"}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = "/", append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, c.Env...)
	return cmd
}

func TestCellPassesCodesAndDescriptors(t *testing.T) {
	for _, code := range []string{"0", "7", "42", "125", "126", "127", "255"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := command(t, Cell{}.Wrap(Command{Argv: []string{"sh", "-c", "printf c >&3; exit " + code}}))
		cmd.ExtraFiles = []*os.File{w}
		out, err := cmd.CombinedOutput()
		w.Close()
		var ready bytes.Buffer
		if _, err := ready.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		if cmd.ProcessState == nil {
			t.Fatalf("%v: %s", err, out)
		}
		if strings.Contains(string(out), "unshare failed") {
			t.Skipf("user namespaces cannot be made here: %s", out)
		}
		if got := cmd.ProcessState.ExitCode(); code != strconv.Itoa(got) || ready.String() != "c" {
			t.Errorf("exit %s: %d, %q, %s", code, got, ready.String(), out)
		}
	}
}

// The processes in the cell end with the process that started it, however they were
// detached.
func TestCellEndsWithItsStarter(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	inner := Cell{}.Wrap(Command{Argv: []string{"sh", "-c", "setsid sleep 300 & echo ready; wait"}})
	cmd := command(t, inner)
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	line := make([]byte, 6)
	if _, err := r.Read(line); err != nil {
		_ = cmd.Wait() // it did not start
		t.Skipf("user namespaces cannot be made here: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// The read ends when no process has the pipe open.
	if n, _ := r.Read(line); n != 0 {
		t.Errorf("%q came after the end", line[:n])
	}
}

func TestCellNetwork(t *testing.T) {
	c := Cell{cell.Cell{Network: true}}.Wrap(Command{Argv: []string{"x"}, Env: []string{"A=b"}})
	if line := strings.Join(c.Argv, " "); !strings.Contains(line, " --net ") || !strings.Contains(line, "ip link set lo up") || c.Env[0] != "A=b" {
		t.Errorf("%v", c)
	}
	if line := strings.Join(Cell{cell.Cell{NoDeathSignal: true}}.Wrap(Command{}).Argv, " "); strings.Contains(line, "setpriv") {
		t.Errorf("%s", line)
	}
}

func TestBootstrapFindsAShell(t *testing.T) {
	dir := t.TempDir()
	script := dir + "/script"
	if err := os.WriteFile(script, []byte("echo \"in $0\"; exit 42\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.Open(script)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("sh", "-c", Wires{}.Bootstrap())
	cmd.ExtraFiles = []*os.File{text, w}
	out, _ := cmd.CombinedOutput()
	w.Close()
	ready := make([]byte, 8)
	n, _ := r.Read(ready)
	if cmd.ProcessState.ExitCode() != 42 || !strings.HasPrefix(string(out), "in /") || string(ready[:n]) != "cse42\n" {
		t.Errorf("%d, %q, %q", cmd.ProcessState.ExitCode(), out, ready[:n])
	}
}
