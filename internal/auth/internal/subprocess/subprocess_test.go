package subprocess

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func sh(script string, args ...string) Command {
	return Command{
		Path: "/bin/sh", Args: append([]string{"-c", script, "sh"}, args...),
		Env:   []string{"PATH=/usr/bin:/bin"},
		Limit: 20 * time.Second, MaxOutput: 64 << 10, MaxErrors: 1 << 10,
	}
}

func TestRunResult(t *testing.T) {
	for _, c := range []struct {
		name   string
		script string
		want   Result
		signal syscall.Signal
	}{
		{"nothing", "exit 0", Result{}, 0},
		{"both outputs", "echo out; echo err >&2", Result{Stdout: []byte("out\n"), Stderr: []byte("err\n")}, 0},
		{"exit status", "exit 7", Result{Code: 7}, 0},
		{"highest exit status", "exit 255", Result{Code: 255}, 0},
		{"signal", "kill -SEGV $$", Result{}, syscall.SIGSEGV},
		{"signal after an answer", "echo out; kill -KILL $$", Result{Stdout: []byte("out\n")}, syscall.SIGKILL},
		{"arguments are not expanded", `printf %s "$1$2"`, Result{Stdout: []byte("$(id);--x")}, 0},
		{"input is empty", "cat; test -c /proc/self/fd/0", Result{}, 0},
		{"directory", "pwd", Result{Stdout: []byte("/\n")}, 0},
		{"session and group of its own", `set -- $(cat /proc/$$/stat); test $1 = $5 && test $1 = $6`, Result{}, 0},
		{"a full output is no fault", "head -c 65536 /dev/zero", Result{Stdout: make([]byte, 65536)}, 0},
		{"a long standard error is cut", "head -c 100000 /dev/zero >&2; echo out", Result{Stdout: []byte("out\n"), Stderr: make([]byte, 1024)}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := sh(c.script, "$(id);", "--x").Run(t.Context())
			if c.signal == 0 && err != nil || c.signal != 0 && err != (SignalError{c.signal}) {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Stdout, c.want.Stdout) || !bytes.Equal(got.Stderr, c.want.Stderr) {
				t.Errorf("output %.80q, %.80q; want %.80q, %.80q", got.Stdout, got.Stderr, c.want.Stdout, c.want.Stderr)
			}
			if got.Code != c.want.Code {
				t.Errorf("code %d, want %d", got.Code, c.want.Code)
			}
		})
	}
}

func TestRunEnvironment(t *testing.T) {
	t.Setenv("JACAMAR_TEST_LEAK", "1")
	for _, c := range []struct {
		name string
		env  []string
		want string
	}{
		{"none", nil, ""},
		{"some", []string{"A=1", "B=x y"}, "A=1\nB=x y\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := Command{Path: "/usr/bin/env", Env: c.env, Limit: 20 * time.Second, MaxOutput: 4096}
			got, err := cmd.Run(t.Context())
			if err != nil || string(got.Stdout) != c.want {
				t.Errorf("environment %q, error %v; want %q", got.Stdout, err, c.want)
			}
		})
	}
}

func TestRunDescriptors(t *testing.T) {
	// As the privileged process does at its start: the parent of this test may have
	// left descriptors open.
	if err := unix.CloseRange(3, 1<<31, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		t.Skipf("the kernel has no close_range with CLOEXEC: %v", err)
	}
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := sh(`ls /proc/$$/fd; readlink /proc/$$/fd/3`)
	cmd.Files = []*os.File{f}
	got, err := cmd.Run(t.Context())
	if want := "0\n1\n2\n3\n/dev/null\n"; err != nil || string(got.Stdout) != want {
		t.Errorf("descriptors %q, error %v; want %q", got.Stdout, err, want)
	}
}

// daemon leaves a process in a new session that holds the output. The substitution
// ends when that process has its session and has closed the pipe: before, it would
// still belong to the group that is killed.
const daemon = `exec 9>&1; x=$(setsid -f sh -c 'exec sleep 1000 >&9 2>/dev/null')`

func TestRunKillsMisbehaving(t *testing.T) {
	for _, c := range []struct {
		name   string
		script string
		limit  time.Duration
		want   error
		stdout string
	}{
		{"hangs", "echo begun; exec sleep 1000", 2 * time.Second, TimeoutError{2 * time.Second}, "begun\n"},
		{"hangs and ignores TERM", "trap '' TERM; while :; do sleep 1000; done", 300 * time.Millisecond, TimeoutError{300 * time.Millisecond}, ""},
		{"waits for a child that hangs", "sleep 1000", 300 * time.Millisecond, TimeoutError{300 * time.Millisecond}, ""},
		{"one byte too much", "head -c 65537 /dev/zero", 20 * time.Second, OutputError{64 << 10}, string(make([]byte, 65536))},
		{"prints without end", "exec cat /dev/zero", 20 * time.Second, OutputError{64 << 10}, string(make([]byte, 65536))},
		{"daemon in another session holds the output", daemon + "; echo out", 20 * time.Second, HeldError{}, "out\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Now()
			cmd := sh(c.script)
			cmd.Limit = c.limit
			marker := markOf(t, &cmd)
			got, err := cmd.Run(t.Context())
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if string(got.Stdout) != c.stdout {
				t.Errorf("stdout %.80q, want %.80q", got.Stdout, c.stdout)
			}
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("took %s", d)
			}
			if c.want == (HeldError{}) {
				endMarked(t, marker)
				return
			}
			awaitNoneMarked(t, marker)
		})
	}
}

func TestRunKillsGroup(t *testing.T) {
	cmd := sh("(sleep 1000; echo late) & echo out")
	marker := markOf(t, &cmd)
	got, err := cmd.Run(t.Context())
	if err != nil || string(got.Stdout) != "out\n" {
		t.Errorf("stdout %q, error %v", got.Stdout, err)
	}
	awaitNoneMarked(t, marker)
}

func TestRunAcceptsDaemonOnStderr(t *testing.T) {
	cmd := sh("echo why >&2; x=$(setsid -f sh -c 'exec sleep 1000 >/dev/null'); echo out")
	marker := markOf(t, &cmd)
	got, err := cmd.Run(t.Context())
	if err != nil || string(got.Stdout) != "out\n" || string(got.Stderr) != "why\n" {
		t.Errorf("stdout %q, stderr %q, error %v", got.Stdout, got.Stderr, err)
	}
	endMarked(t, marker)
}

func TestRunCanceled(t *testing.T) {
	reason := errors.New("the runner gave up")
	ctx, cancel := context.WithCancelCause(t.Context())
	fifo := filepath.Join(t.TempDir(), "begun")
	begun := awaitWriter(t, fifo)
	go func() { <-begun; cancel(reason) }()
	cmd := sh(`echo >"$1"; exec sleep 1000`, fifo)
	marker := markOf(t, &cmd)
	if _, err := cmd.Run(ctx); !errors.Is(err, reason) {
		t.Errorf("error %v, want %v", err, reason)
	}
	awaitNoneMarked(t, marker)
}

// tracerRole makes this test program the tracer of TestRunBlocked; its value is the pid of
// the process to trace.
const tracerRole = "JACAMAR_TEST_TRACER_OF"

// TestRunBlocked: a killed helper may not end, for example while it reads from a dead file
// server. This one has a tracer, to which the kernel reports the end before its parent.
func TestRunBlocked(t *testing.T) {
	if pid, _ := strconv.Atoi(os.Getenv(tracerRole)); pid != 0 {
		runtime.LockOSThread()
		fmt.Println(unix.PtraceSeize(pid))
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	reason := errors.New("the runner gave up")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		cmd := sh("echo $$ >&3; exec sleep 1000")
		cmd.Files = []*os.File{w}
		_, err := cmd.Run(ctx)
		ended <- err
	}()
	pid, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	release := traced(t, strings.TrimSpace(pid))
	defer release()
	cancel(reason)
	select {
	case err := <-ended:
		if !errors.Is(err, reason) {
			t.Errorf("error %v, want %v", err, reason)
		}
	case <-time.After(time.Minute):
		t.Error("it waits for a helper that does not end")
	}
}

// traced makes another process the tracer of one, until release.
func traced(t *testing.T, pid string) (release func()) {
	t.Helper()
	tracer := exec.Command(os.Args[0], "-test.run=^TestRunBlocked$")
	tracer.Env = []string{tracerRole + "=" + pid}
	in, err := tracer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := tracer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	release = func() { in.Close(); _ = tracer.Wait() }
	if answer, err := bufio.NewReader(out).ReadString('\n'); err != nil || answer != "<nil>\n" {
		release()
		t.Skipf("cannot trace: %s%v", answer, err)
	}
	return release
}

// parentRole makes this test program the parent that TestRunEndsWithItsParent
// kills; its value is where the helper reports.
const parentRole = "JACAMAR_TEST_PARENT_OF"

func TestRunEndsWithItsParent(t *testing.T) {
	if fifo := os.Getenv(parentRole); fifo != "" {
		cmd := sh(`echo >"$1"; exec sleep 1000`, fifo)
		cmd.Env = append(cmd.Env, os.Getenv("JACAMAR_TEST_MARKER"))
		_, err := cmd.Run(t.Context())
		t.Fatalf("the helper ended: %v", err)
	}
	fifo := filepath.Join(t.TempDir(), "begun")
	begun := awaitWriter(t, fifo)
	helper := sh("")
	marker := markOf(t, &helper)
	parent := exec.Command(os.Args[0], "-test.run=^TestRunEndsWithItsParent$")
	parent.Env = []string{parentRole + "=" + fifo, "JACAMAR_TEST_MARKER=" + marker}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed above
	awaitNoneMarked(t, marker)
}

// TestRunSurvivesThreads ends threads of this program while a helper runs. To the
// kernel, the end of the thread that started the helper is the end of its parent.
func TestRunSurvivesThreads(t *testing.T) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			ended := make(chan struct{})
			go func() {
				// A thread ends with the goroutine that it is locked to.
				runtime.LockOSThread()
				close(ended)
			}()
			<-ended
			runtime.Gosched() // with one processor the two would hand it to each other
		}
	}()
	for range 40 {
		got, err := sh("sleep 0.02; echo out").Run(t.Context())
		if err != nil || string(got.Stdout) != "out\n" {
			t.Errorf("stdout %q, error %v", got.Stdout, err)
		}
	}
	close(stop)
	<-stopped
}

// TestRunWithoutAStatus ignores SIGCHLD, so that no exit status is available: that is
// not a success.
func TestRunWithoutAStatus(t *testing.T) {
	signal.Ignore(unix.SIGCHLD)
	defer func() {
		// Notify undoes Ignore; Reset does not.
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, unix.SIGCHLD)
		signal.Stop(ended)
	}()
	if got, err := sh("exit 0").Run(t.Context()); !errors.Is(err, unix.ECHILD) {
		t.Errorf("result %+v, error %v", got, err)
	}
}

func TestRunCannotStart(t *testing.T) {
	for _, c := range []struct {
		name, path string
		want       syscall.Errno
	}{
		{"missing", "/nonexistent/helper", syscall.ENOENT},
		{"a directory", "/tmp", syscall.EACCES},
		{"not executable", "/etc/passwd", syscall.EACCES},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := sh("")
			cmd.Path = c.path
			_, err := cmd.Run(t.Context())
			if err != (StartError{c.want}) || !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, StartError{c.want})
			}
		})
	}
}

func TestRunLeavesNoDescriptors(t *testing.T) {
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	run := func(script string, path string) {
		cmd := sh(script)
		cmd.Path = path
		_, _ = cmd.Run(t.Context())
	}
	run("exit 0", "/bin/sh") // the runtime opens its own at the first use
	before := count()
	for range 10 {
		run("echo out", "/bin/sh")
		run("exec cat /dev/zero", "/bin/sh")
		run("", "/nonexistent")
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestErrorTexts(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{TimeoutError{30 * time.Second}, "timed out after 30s"},
		{OutputError{65536}, "printed more than 65536 bytes"},
		{StartError{syscall.ENOENT}, "cannot start it: no such file or directory"},
		{HeldError{}, "left a process behind that holds its output"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
