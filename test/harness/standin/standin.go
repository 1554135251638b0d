// Package standin lets a test program stand in for jacamar: it writes down what it is sent and
// returns the result that the test has for the stage. TestMain calls Jacamar in a process that
// was started as one.
package standin

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// Sent is what jacamar was sent, its account, and how many filters of system calls it has.
type Sent struct {
	Request ipc.Request
	Script  string
	UID     int
	Filters int
	// NoNewPrivs and Core are of its process.
	NoNewPrivs bool
	Core       uint64
}

// Dir is the directory by which a test and its jacamar exchange files. It is that of the
// program.
type Dir string

// Jacamar serves one stage as the program at that path and returns the exit status. Where the
// test has made a Gate, the stage ends once that is closed.
func Jacamar(program string) int {
	dir := Dir(filepath.Dir(program))
	conn, request, script, err := ipc.Accept(os.Stdin)
	if err != nil {
		return 3
	}
	text, err := json.Marshal(sentNow(request, script))
	if err != nil || os.WriteFile(dir.sent(request.Stage), text, 0o644) != nil {
		return 4
	}
	if gate, err := os.Open(dir.path("gate")); err == nil {
		_, _ = io.ReadAll(gate)
	}
	var result ipc.Result
	if text, err := os.ReadFile(dir.result(request.Stage)); err == nil {
		if err := json.Unmarshal(text, &result); err != nil {
			return 5
		}
	}
	if conn.Hello(ipc.Hello{PID: os.Getpid()}) != nil || conn.Report(result) != nil {
		return 6
	}
	return 0
}

func sentNow(r ipc.Request, script []byte) Sent {
	var core unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &core)
	return Sent{Request: r, Script: string(script), UID: os.Getuid(), Filters: status("Seccomp_filters"), NoNewPrivs: status("NoNewPrivs") == 1, Core: core.Cur}
}

// status is a number of proc_pid_status(5).
func status(name string) (n int) {
	text, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(text), "\n"+name+":")
	_, _ = fmt.Sscan(rest, &n)
	return n
}

func (d Dir) path(name string) string { return filepath.Join(string(d), name) }

func (d Dir) sent(stage job.Stage) string { return d.path("sent/" + string(stage)) }

func (d Dir) result(stage job.Stage) string { return d.path("result-" + string(stage)) }

// Prepare makes what a jacamar of any account needs.
func (d Dir) Prepare(t testing.TB) {
	t.Helper()
	testutil.Must(t, os.Mkdir(d.path("sent"), 0o777), os.Chmod(d.path("sent"), 0o777)) // whatever the umask is
}

// Answer sets the result of a stage.
func (d Dir) Answer(t testing.TB, stage job.Stage, result ipc.Result) {
	t.Helper()
	text, err := json.Marshal(result)
	testutil.Must(t, err, os.WriteFile(d.result(stage), text, 0o644))
}

// Sent returns what jacamar was sent in a stage; ok is false where it has not run.
func (d Dir) Sent(t testing.TB, stage job.Stage) (s Sent, ok bool) {
	t.Helper()
	text, err := os.ReadFile(d.sent(stage))
	if err != nil {
		return s, false
	}
	testutil.Must(t, json.Unmarshal(text, &s))
	return s, true
}

// Forget removes what jacamar was sent in a stage.
func (d Dir) Forget(t testing.TB, stage job.Stage) {
	t.Helper()
	testutil.Must(t, os.RemoveAll(d.sent(stage)))
}

// Gate makes stages wait for the test. Open it for writing by OpenGate.
func (d Dir) Gate(t testing.TB) {
	t.Helper()
	testutil.Must(t, syscall.Mkfifo(d.path("gate"), 0o644))
}

// OpenGate waits until a jacamar waits at the gate, until what it returns is closed.
func (d Dir) OpenGate(t testing.TB) io.Closer {
	t.Helper()
	gate, err := os.OpenFile(d.path("gate"), os.O_WRONLY, 0)
	testutil.Must(t, err)
	return gate
}
