package subprocess

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// awaitWriter makes a FIFO and returns a channel that is closed when a process has
// opened it for writing.
func awaitWriter(t *testing.T, fifo string) <-chan struct{} {
	t.Helper()
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	go func() {
		defer close(begun)
		if f, err := os.Open(fifo); err == nil {
			f.Close()
		}
	}()
	return begun
}

// markOf adds a variable to the helper's environment that identifies all its
// descendants.
func markOf(t *testing.T, c *Command) string {
	t.Helper()
	marker := fmt.Sprintf("JACAMAR_TEST_MARK=%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"))
	c.Env = append(c.Env, marker)
	return marker
}

// marked lists the live processes with the marker.
func marked(t *testing.T, marker string) []int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, dir := range dirs {
		// A zombie's environment is empty, so it does not count.
		env, err := os.ReadFile(dir + "/environ")
		if err == nil && bytes.Contains(append([]byte{0}, env...), []byte("\x00"+marker+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			pids = append(pids, pid)
		}
	}
	return pids
}

func awaitNoneMarked(t *testing.T, marker string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for pids := marked(t, marker); len(pids) > 0; pids = marked(t, marker) {
		if time.Now().After(deadline) {
			endMarked(t, marker)
			t.Errorf("processes %v are still alive", pids)
			return
		}
		<-tick.C
	}
}

// endMarked kills processes that a test left on purpose, and fails if there are none.
func endMarked(t *testing.T, marker string) {
	t.Helper()
	pids := marked(t, marker)
	if len(pids) == 0 {
		t.Error("the process that the test left is gone: the test shows nothing")
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Errorf("cannot end process %d: %v", pid, err)
		}
	}
}

// TestCaptureAfterTheDeadline: this process may get no processor until the deadline for the
// last output is over. The output is there all the same, and no process holds it.
func TestCaptureAfterTheDeadline(t *testing.T) {
	past := time.Now().Add(-time.Second)
	c, err := newCapture(1 << 10)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.w.WriteString("out\n"); err != nil {
		t.Fatal(err)
	}
	if err := c.r.SetReadDeadline(past); err != nil {
		t.Fatal(err)
	}
	c.start()
	if held := c.finish(past); held || string(c.data) != "out\n" {
		t.Errorf("held %v, output %q", held, c.data)
	}
}
