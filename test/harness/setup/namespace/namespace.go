// Package namespace gives a test a mount namespace of its own, in which it can
// change what every program of the machine reads, /etc/passwd or
// /etc/nsswitch.conf, while the machine's own files stay as they are.
package namespace

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/testutil"
)

// Namespace is a private mount namespace. It is gone when the test ends, also when
// the test process is killed.
type Namespace struct {
	pid   int
	dir   string
	files int
}

// Start makes a namespace that lives as long as the test. It is for root; the
// caller skips otherwise.
func Start(t testing.TB) *Namespace {
	t.Helper()
	n, stop, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return n
}

// Open makes a namespace that lives until stop is called or this process ends.
func Open() (n *Namespace, stop func(), err error) {
	dir, err := os.MkdirTemp("", "namespace-")
	if err != nil {
		return nil, nil, err
	}
	// A process that waits for the end of its input keeps the namespace.
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", "echo ready; exec cat")
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop = func() {
		_ = input.Close()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "ready\n" {
		stop()
		return nil, nil, fmt.Errorf("unshare did not make a namespace: %w", err)
	}
	return &Namespace{pid: cmd.Process.Pid, dir: dir}, stop, nil
}

// PID is the process that keeps the namespace.
func (n *Namespace) PID() int { return n.pid }

// Enter returns a command line that runs argv inside. The process is the same, so
// signals, descriptors and exit status are argv's own.
func (n *Namespace) Enter(argv ...string) []string {
	return append([]string{"/usr/bin/nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", n.pid), "--"}, argv...)
}

// Run runs a command inside and returns what it printed.
func (n *Namespace) Run(argv ...string) (string, error) {
	argv = n.Enter(argv...)
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%v: %w: %s", argv, err, out)
	}
	return string(out), nil
}

// Put makes path, which must exist, have other contents inside.
func (n *Namespace) Put(path, text string, mode fs.FileMode) error {
	n.files++
	file := filepath.Join(n.dir, fmt.Sprint(n.files))
	if err := testutil.WriteProgram(file, []byte(text), mode); err != nil {
		return err
	}
	if err := os.Chmod(file, mode); err != nil {
		return err
	}
	_, err := n.Run("mount", "--bind", file, path)
	return err
}

// Empty puts an empty directory over path, which must exist.
func (n *Namespace) Empty(path string) error {
	_, err := n.Run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", path)
	return err
}
