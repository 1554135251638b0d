package cell

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/testutil"
)

// inside starts a script in a cell, with nothing but the programs of the cell and of the
// script on PATH.
func inside(t *testing.T, c Cell, script string, programs ...string) *exec.Cmd {
	t.Helper()
	bin := t.TempDir()
	for _, name := range slices.Concat(c.Programs(), programs) {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("the cell needs %s", name)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	argv := c.Argv([]string{"sh", "-c", script})
	cmd := exec.Command(filepath.Join(bin, argv[0]), argv[1:]...)
	cmd.Env = []string{"PATH=" + bin}
	return cmd
}

func needNamespaces(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("unshare", "--user", "--map-root-user", "--mount", "--cgroup", "true").CombinedOutput(); err != nil {
		t.Skipf("this account cannot make a user namespace: %s", out)
	}
}

var cells = map[string]Cell{"plain": {}, "network": {Network: true}, "old util-linux": {NoDeathSignal: true}, "both": {Network: true, NoDeathSignal: true}}

// TestCell: a command in a cell is not process 1 of it, has its own network where that was
// asked for, and its exit status is that of the cell.
func TestCell(t *testing.T) {
	needNamespaces(t)
	for name, c := range cells {
		cmd := inside(t, c, `echo "$$ $(wc -l < /proc/net/dev) $(cat /sys/class/net/lo/operstate)"; read -r line; echo "$line"; exit 7`, "wc", "cat")
		var out bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("hello\n"), &out, os.Stderr
		err := cmd.Run()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 7 || !strings.HasSuffix(out.String(), "\nhello\n") {
			t.Errorf("%s: %v: %q", name, err, out.String())
		}
		if lines := strings.Fields(out.String()); len(lines) < 2 || lines[0] == "1" || (lines[1] == "3") != c.Network && hasNetwork(t) {
			t.Errorf("%s: %q", name, out.String())
		}
	}
}

// hasNetwork reports whether this machine has more than a loopback device.
func hasNetwork(t *testing.T) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/net/dev")
	testutil.Must(t, err)
	return bytes.Count(text, []byte("\n")) > 3
}

// TestCellDiesWithItsParent: the kernel ends a cell whose parent was killed, unless setpriv(1)
// is too old for that.
func TestCellDiesWithItsParent(t *testing.T) {
	needNamespaces(t)
	for name, c := range cells {
		inner := inside(t, c, "echo ready; read -r line; echo survives", "sleep")
		parent := exec.Command("sh", append([]string{"-c", `"$@" <&3 & wait`, "sh", inner.Path}, inner.Args[1:]...)...)
		parent.Env = inner.Env
		out, err := parent.StdoutPipe()
		testutil.Must(t, err)
		r, w, err := os.Pipe()
		testutil.Must(t, err)
		parent.ExtraFiles = []*os.File{r}
		testutil.Must(t, parent.Start(), r.Close())
		ready := make([]byte, len("ready\n"))
		_, err = io.ReadFull(out, ready)
		testutil.Must(t, err, parent.Process.Kill())
		_, _ = parent.Process.Wait()
		if !c.NoDeathSignal { // else it is still there, and reads
			rest, err := io.ReadAll(out)
			if err != nil || len(rest) > 0 {
				t.Errorf("%s: %q, %v", name, rest, err)
			}
		}
		_, _ = w.WriteString("\n")
		if rest, _ := io.ReadAll(out); c.NoDeathSignal && string(rest) != "survives\n" {
			t.Errorf("%s: %q", name, rest)
		}
		w.Close()
	}
}
