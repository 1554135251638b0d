package jobrun

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// TestWholeJob: the stages of a job with what each reports, prints and leaves.
func TestWholeJob(t *testing.T) {
	r := configured(t, newRequest(t))
	for _, dir := range []job.AbsPath{r.Dirs.Builds, r.Dirs.Cache, r.Dirs.Scripts} {
		if info, err := os.Stat(dir.String()); err != nil || !info.IsDir() {
			t.Errorf("%s: %v", dir, err)
		}
	}
	host, _ := os.Hostname()
	e := succeeds(t, r, "")
	if want := "Running as alice on " + host + " in " + r.Dirs.Builds.String() + " (shell executor, "; !strings.Contains(e.log, want) ||
		!strings.Contains(e.log, "This resource runs every job as the account alice") || strings.Contains(e.log, "WARNING") || e.result.Made {
		t.Errorf("%+v\n%s", e.result, e.log)
	}
	e = succeeds(t, ofStage(r, job.Run, job.BuildScript), "echo hello")
	if !strings.Contains(e.log, "hello\n") || !strings.Contains(e.log, "the script ended: exit code 0") || !strings.Contains(e.log, "node: "+host) || !strings.Contains(e.log, "peak memory of a process: ") {
		t.Error(e.log)
	}
	e = serve(t, ofStage(r, job.Run, job.BuildScript), "exit 7")
	if e.result.Code != 7 || e.result.Kind != "build" || !strings.Contains(e.log, "the script ended: exit code 7") {
		t.Errorf("%+v\n%s", e.result, e.log)
	}
	if e = succeeds(t, ofStage(r, job.Run, "upload_artifacts_on_success"), "true"); strings.Contains(e.log, "the script ended") {
		t.Error(e.log)
	}
	e = succeeds(t, ofStage(r, job.Cleanup, ""), "")
	if len(e.result.Left) > 0 || len(e.notes) > 0 || e.log != "" {
		t.Errorf("%+v %+v\n%s", e.result, e.notes, e.log)
	}
	if _, err := os.Stat(r.Dirs.Scripts.String()); err == nil {
		t.Error("the job's scripts are left")
	}
}

// TestNotTheAccount: nothing runs as another account than that of the request.
func TestNotTheAccount(t *testing.T) {
	r := configured(t, newRequest(t))
	r.Account.UID++
	e := serve(t, ofStage(r, job.Run, job.BuildScript), "touch ~/ran")
	if !strings.Contains(e.result.Reason, "the change of account failed: user ids are") || e.result.Kind != "system" {
		t.Errorf("%+v", e.result)
	}
	if _, err := os.Stat(filepath.Join(r.Account.Home.String(), "ran")); err == nil {
		t.Error("the script has run")
	}
	r.Reap = true
	if e := begin(t, r, "").end(); e.status.ExitStatus() != 1 {
		t.Errorf("as one that ends processes: %v", e.status)
	}
}

// TestReap: a jacamar that only ends processes does so until the connection ends.
func TestReap(t *testing.T) {
	r := newRequest(t)
	r.Reap = true
	c := begin(t, r, "")
	// In a session of its own: a process is ended together with its process group.
	victim, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: true}})
	testutil.Must(t, err, c.conn.Kill(ipc.Condemned{PIDs: []int{1 << 30}}), c.conn.Kill(ipc.Condemned{PIDs: []int{victim.Pid}}))
	state, err := victim.Wait()
	if ws, _ := state.Sys().(syscall.WaitStatus); err != nil || ws.Signal() != syscall.SIGKILL {
		t.Errorf("%v, %v", state, err)
	}
	testutil.Must(t, c.socket.Close())
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(c.pid, &ws, 0, nil); err != nil || ws != 0 {
		t.Errorf("%v, %v\n%s", ws, err, c.log())
	}
}

// TestStops: a stage that is asked to end does so in good order, and one whose jacamar-auth is
// gone at once, with no result of the script's.
func TestStops(t *testing.T) {
	r := configured(t, newRequest(t))
	ready := filepath.Join(r.Account.Home.String(), "ready")
	testutil.Must(t, syscall.Mkfifo(ready, 0o600))
	script := "trap 'echo in good order; exit 0' TERM; echo >" + ready + "; sleep 1000 & wait"
	for name, tt := range map[string]struct {
		stop    func(*conversation) error
		reason  string
		inOrder bool // the script has ended itself; where it has no time for that, it may have
	}{
		"terminate": {func(c *conversation) error { return c.conn.Terminate() }, "the job was stopped", true},
		"terminate twice": {func(c *conversation) error {
			err := c.conn.Terminate()
			if again := c.conn.Terminate(); !errors.Is(again, unix.EPIPE) { // the stage may have ended
				err = errors.Join(err, again)
			}
			return err
		}, "the job was stopped", true},
		"jacamar-auth is gone": {func(c *conversation) error { return unix.Shutdown(int(c.socket.Fd()), unix.SHUT_WR) }, "the connection to jacamar-auth was lost", false},
	} {
		c := begin(t, ofStage(r, job.Run, job.BuildScript), script)
		_, err := os.ReadFile(ready)
		testutil.Must(t, err, tt.stop(c))
		if e := c.end(); !strings.Contains(e.result.Reason, tt.reason) || tt.inOrder && !strings.Contains(e.log, "in good order") {
			t.Errorf("%s: %+v\n%s", name, e.result, e.log)
		}
	}
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
}

// TestReport: a config stage that failed reports whether it has made its directories.
func TestReport(t *testing.T) {
	made := stageResult{dirs: ipc.Dirs{Builds: testutil.AbsPath(t, "/builds")}}
	for _, tt := range []struct {
		result stageResult
		err    error
		want   bool
	}{{made, nil, false}, {made, io.EOF, true}, {stageResult{}, io.EOF, false}} {
		if got := tt.result.report(tt.err); got.Made != tt.want || got.Failed() != (tt.err != nil) {
			t.Errorf("%+v: %+v", tt, got)
		}
	}
}

// TestStartedByOthers: only jacamar-auth can start jacamar, by a socket of its own.
func TestStartedByOthers(t *testing.T) {
	tcp, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	testutil.Must(t, err)
	socket := os.NewFile(uintptr(tcp), "socket")
	defer socket.Close()
	file, err := os.Open(os.DevNull)
	testutil.Must(t, err)
	defer file.Close()
	for name, stdin := range map[string]*os.File{"a file": file, "a socket of another kind": socket} {
		cmd := exec.Command(os.Args[0])
		cmd.Args, cmd.Stdin = []string{"jacamar"}, stdin
		if text, err := cmd.CombinedOutput(); err == nil || string(text) != "standard input is not the socket of jacamar-auth: only jacamar-auth can start jacamar\n" {
			t.Errorf("%s: %v, %s", name, err, text)
		}
	}
}

// TestProcesses: jacamar reports the limit on the account's processes where there is one.
func TestProcesses(t *testing.T) {
	for _, tt := range []struct {
		limit uint64
		err   error
		want  uint64
	}{{100, nil, 100}, {unix.RLIM_INFINITY, nil, 0}, {100, unix.EINVAL, 0}} {
		if got := processes(unix.Rlimit{Cur: tt.limit}, tt.err); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}

// TestExplainKeyLimit: the hint is for the limit of keys alone.
func TestExplainKeyLimit(t *testing.T) {
	for err, want := range map[error]bool{unix.EDQUOT: true, unix.EPERM: false} {
		if _, hint := failure.ForUser(explainKeyLimit(fmt.Errorf("keyctl: %w", err)), true, ""); strings.Contains(hint, "/proc/key-users") != want {
			t.Errorf("%v: %q", err, hint)
		}
	}
}

// TestNoShell: a script that has not run has no line about its end.
func TestNoShell(t *testing.T) {
	r := configured(t, newRequest(t))
	r.Settings.ShellPath = testutil.AbsPath(t, "/nonexistent/bash")
	if e := serve(t, ofStage(r, job.Run, job.BuildScript), "true"); e.result.Kind != "system" || strings.Contains(e.log, "the script ended") {
		t.Errorf("%+v\n%s", e.result, e.log)
	}
}

// TestWarnLine: an empty line is none.
func TestWarnLine(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	testutil.Must(t, err)
	s := stage{stdout: file}
	s.warnLine("")
	empty, err := file.Stat()
	testutil.Must(t, err)
	s.warnLine("full")
	text, err := os.ReadFile(file.Name())
	testutil.Must(t, err, file.Close())
	if empty.Size() != 0 || !strings.Contains(string(text), "WARNING: full") {
		t.Errorf("%d, %q", empty.Size(), text)
	}
}
