package jobrun

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// Whole stages run here in processes of their own: the test program is jacamar, and the test is
// its jacamar-auth.

func TestMain(m *testing.M) {
	if os.Args[0] == "jacamar" {
		if err := Serve(os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testutil.RunNotFavored(m))
}

// newRequest is the request of the config stage of a job whose account is that of this process.
func newRequest(t *testing.T) ipc.Request {
	t.Helper()
	home, err := filepath.EvalSymlinks(t.TempDir())
	testutil.Must(t, err, os.Chmod(home, 0o700))
	testutil.Must(t, os.WriteFile(filepath.Join(home, ".bash_profile"), []byte("unset BASH_ENV\n"), 0o600))
	owner, _ := proctree.Find(os.Getpid())
	return ipc.Request{
		Stage: job.Config,
		Account: job.Account{
			Name: testutil.Username(t, "alice"), UID: job.UID(os.Getuid()), GID: job.GID(os.Getgid()),
			Home: testutil.AbsPath(t, home), Shell: testutil.AbsPath(t, "/bin/bash"),
		},
		Job: ipc.Job{ID: 1, Runner: "t0ken", Project: "group/project", ProjectID: 12, Timeout: 3600, Owner: owner},
		Settings: ipc.Settings{
			DataDir: "$HOME", Downscope: settings.None,
			General: settings.General{Executor: "shell", KillTimeout: 5 * time.Second, LoginShells: "job", Directories: settings.Directories{StaticBuildsDays: 7}},
		},
	}
}

// conversation is with a jacamar that runs.
type conversation struct {
	t      *testing.T
	conn   *ipc.ParentConn
	socket *os.File
	pid    int
	stdout *os.File
}

// ended is how a stage ended.
type ended struct {
	result ipc.Result
	notes  []ipc.Note
	log    string
	status syscall.WaitStatus
}

// begin starts jacamar and sends it a request.
func begin(t *testing.T, r ipc.Request, script string) *conversation {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	testutil.Must(t, err)
	stdout, err := os.CreateTemp(t.TempDir(), "")
	testutil.Must(t, err)
	c := &conversation{t: t, socket: os.NewFile(uintptr(pair[0]), "socket"), stdout: stdout}
	theirs := os.NewFile(uintptr(pair[1]), "their socket")
	t.Cleanup(func() { c.socket.Close(); stdout.Close() })
	self, err := os.Executable()
	testutil.Must(t, err)
	c.pid, err = inherit.NewThread().Run(func(thread *inherit.Thread) (pid int, err error) {
		if r.Start, err = thread.Shed(r.Start, r.Account.UID); err != nil {
			return 0, err
		}
		return syscall.ForkExec(self, []string{"jacamar", string(r.Stage)}, &syscall.ProcAttr{
			Dir: "/", Env: []string{"PATH=/usr/bin:/bin"}, Files: []uintptr{theirs.Fd(), stdout.Fd(), stdout.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
		})
	})
	testutil.Must(t, err, theirs.Close())
	c.conn = ipc.NewParentConn(c.socket)
	testutil.Must(t, c.conn.Send(r, []byte(script)))
	hello, err := c.conn.Greeting()
	if err != nil || hello.PID != c.pid {
		t.Fatalf("%+v, %v\n%s", hello, err, c.log())
	}
	return c
}

// end awaits the result and the end of jacamar.
func (c *conversation) end() (e ended) {
	c.t.Helper()
	var err error
	e.result, err = c.conn.Result(func(n ipc.Note) { e.notes = append(e.notes, n) })
	if err != nil && err != io.EOF {
		c.t.Errorf("no result: %v", err)
	}
	_, err = syscall.Wait4(c.pid, &e.status, 0, nil)
	testutil.Must(c.t, err)
	e.log = c.log()
	return e
}

// isSilent reports whether jacamar sends nothing in this time, and has not ended.
func (c *conversation) isSilent(limit time.Duration) bool {
	c.t.Helper()
	var n int
	testutil.Must(c.t, eintr.Retry(func() (err error) {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(c.socket.Fd()), Events: unix.POLLIN}}, int(limit.Milliseconds()))
		return err
	}))
	return n == 0
}

func (c *conversation) log() string {
	text, err := os.ReadFile(c.stdout.Name())
	testutil.Must(c.t, err)
	return string(text)
}

// serve runs a stage to its end. A jacamar that has reported a result ends with success.
func serve(t *testing.T, r ipc.Request, script string) ended {
	t.Helper()
	e := begin(t, r, script).end()
	if e.status != 0 {
		t.Errorf("jacamar has ended with %v\n%s", e.status, e.log)
	}
	return e
}

// succeeds is serve for a stage that must not fail.
func succeeds(t *testing.T, r ipc.Request, script string) ended {
	t.Helper()
	e := serve(t, r, script)
	if e.result.Failed() {
		t.Fatalf("%+v\n%s", e.result, e.log)
	}
	return e
}

// configured is a request for the stages after config.
func configured(t *testing.T, r ipc.Request) ipc.Request {
	t.Helper()
	r.Stage = job.Config
	r.Dirs = succeeds(t, r, "").result.Dirs
	r.Job.Temp = testutil.AbsPath(t, filepath.Join(r.Dirs.Builds.String(), r.Job.Project+".tmp"))
	r.Stage = job.Prepare
	return r
}

// ofStage is the request of a stage.
func ofStage(r ipc.Request, stage job.Stage, sub job.SubStage) ipc.Request {
	r.Stage, r.SubStage = stage, sub
	return r
}

// waiting is a run stage whose script has begun and waits until it is released.
func waiting(t *testing.T, r ipc.Request) (c *conversation, release func()) {
	t.Helper()
	gate := filepath.Join(r.Account.Home.String(), "gate")
	testutil.Must(t, syscall.Mkfifo(gate, 0o600))
	c = begin(t, ofStage(r, job.Run, job.BuildScript), "echo >"+gate+"; read <"+gate)
	_, err := os.ReadFile(gate)
	testutil.Must(t, err)
	return c, func() { t.Helper(); testutil.Must(t, os.WriteFile(gate, []byte("\n"), 0)) }
}
