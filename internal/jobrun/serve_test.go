package jobrun

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
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

// TestRoundTime: what a reader needs of a duration.
func TestRoundTime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		40 * time.Millisecond: "0s", 1234 * time.Millisecond: "1.2s", 59900 * time.Millisecond: "59.9s", 60400 * time.Millisecond: "1m0s", 3661700 * time.Millisecond: "1h1m2s",
	} {
		if got := roundTime(d).String(); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// TestStorageOf: the base directory is looked at where the build directory is elsewhere.
func TestStorageOf(t *testing.T) {
	base := testutil.AbsPath(t, "/home/alice/.jacamar-ci")
	for builds, want := range map[string][]string{
		"/home/alice/.jacamar-ci/builds": {"/home/alice/.jacamar-ci/builds"},
		"/home/alice/.jacamar-ci-2":      {"/home/alice/.jacamar-ci-2", "/home/alice/.jacamar-ci"},
	} {
		if got := storageOf(ipc.Dirs{Base: base, Builds: testutil.AbsPath(t, builds)}); !slices.Equal(got, want) {
			t.Errorf("%s: %q", builds, got)
		}
	}
	full := func(dir string) string { return map[string]string{"b": "b is full", "c": "c is full"}[dir] }
	if got := firstLine([]string{"a", "b", "c"}, full) + firstLine([]string{"a"}, full); got != "b is full" {
		t.Error(got)
	}
}

type closer struct{ closed bool }

func (c *closer) Close() error { c.closed = true; return nil }

// TestEnteredClose: the lock of a build directory is given up where there is one.
func TestEnteredClose(t *testing.T) {
	lock := &closer{}
	entered{lock: lock}.close()
	entered{}.close()
	if !lock.closed {
		t.Error("the lock is kept")
	}
}

// TestStillRun: a process that could not be ended is named.
func TestStillRun(t *testing.T) {
	self, _ := proctree.Find(os.Getpid())
	if err := stillRun([]proctree.Process{self}); err == nil || !strings.Contains(err.Error(), strconv.Itoa(self.PID)) || stillRun(nil) != nil {
		t.Error(err)
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

// TestCancels: cleanup cancels the batch job of a jacamar that was killed.
func TestCancels(t *testing.T) {
	r := configured(t, newRequest(t))
	queried := filepath.Join(r.Account.Home.String(), "queried")
	testutil.Must(t, syscall.Mkfifo(queried, 0o600))
	r = submitting(t, r, "echo 42")
	bin := r.Settings.Batch.SchedulerBin.String()
	testutil.Must(t, os.WriteFile(filepath.Join(bin, "squeue"), []byte("#!/bin/sh\n[ -e ~/cancelled ] && exit\necho >~/queried; echo 42 PENDING\n"), 0o755),
		os.WriteFile(filepath.Join(bin, "scancel"), []byte("#!/bin/sh\necho \"$@\" >>~/cancelled\n"), 0o755))
	c := begin(t, ofStage(r, job.Run, job.BuildScript), "true")
	_, err := os.ReadFile(queried)
	testutil.Must(t, err, syscall.Kill(c.pid, syscall.SIGKILL))
	c.end()
	testutil.Must(t, os.Remove(queried))
	e := serve(t, ofStage(r, job.Cleanup, ""), "")
	if text, err := os.ReadFile(filepath.Join(r.Account.Home.String(), "cancelled")); err != nil || e.result.Failed() {
		t.Errorf("%v, %q, %+v\n%s", err, text, e.result, e.log)
	}
}

// TestBaseDir: a message names the directory that config has found, or else the site's text.
func TestBaseDir(t *testing.T) {
	r := ipc.Request{Settings: ipc.Settings{DataDir: "$HOME"}}
	if got := (stage{request: r}).baseDir(); got != "$HOME" {
		t.Error(got)
	}
	r.Dirs.Base = testutil.AbsPath(t, "/home/alice/.jacamar-ci")
	if got := (stage{request: r}).baseDir(); got != "/home/alice/.jacamar-ci" {
		t.Error(got)
	}
}

// TestPrepareOfNoJob: no line about where the job runs, for one that does not.
func TestPrepareOfNoJob(t *testing.T) {
	r := configured(t, newRequest(t))
	r.Job.Temp = testutil.AbsPath(t, r.Dirs.Builds.String()+".tmp")
	if e := serve(t, r, ""); e.result.Kind != "build" || !strings.Contains(e.result.Reason, "GIT_CLONE_PATH") || strings.Contains(e.log, "Running as") {
		t.Errorf("%+v\n%s", e.result, e.log)
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

// submitting is a request whose scripts are for a batch system, with the text of its sbatch.
func submitting(t *testing.T, r ipc.Request, sbatch string) ipc.Request {
	t.Helper()
	bin := t.TempDir()
	for name, text := range map[string]string{"sbatch": sbatch, "scancel": "", "squeue": "", "scontrol": ""} {
		testutil.Must(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	r.Settings.Executor = "slurm"
	r.Settings.Batch = &ipc.Batch{Batch: settings.Batch{SchedulerBin: testutil.AbsPath(t, bin), CommandDelay: time.Second, NFSTimeout: time.Second, CancelGrace: time.Second}}
	return r
}

const noteSubmission = "echo called >>~/called; grep NoNewPrivs /proc/self/status >>~/called; exit 1"

// called is what noteSubmission has written.
func called(t *testing.T, r ipc.Request) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Account.Home.String(), "called"))
	if !os.IsNotExist(err) {
		testutil.Must(t, err)
	}
	return string(text)
}

// TestSubmits: a script of the job's author is submitted, which is not confined, and runs
// nowhere else; one of the runner's own runs here, confined.
func TestSubmits(t *testing.T) {
	r := configured(t, newRequest(t))
	r.Settings.Confinement.NoNewPrivs = true
	r = submitting(t, r, noteSubmission)
	e := serve(t, ofStage(r, job.Run, job.BuildScript), "touch ~/ran")
	if _, err := os.Stat(filepath.Join(r.Account.Home.String(), "ran")); err == nil || e.result.Kind == "" || strings.Contains(e.log, "the script ended") {
		t.Errorf("%+v\n%s", e.result, e.log)
	}
	if got := called(t, r); got != "called\nNoNewPrivs:\t0\n" {
		t.Errorf("%q\n%s", got, e.log)
	}
	if e := succeeds(t, ofStage(r, job.Run, "upload_artifacts_on_success"), "grep NoNewPrivs /proc/self/status"); !strings.Contains(e.log, "NoNewPrivs:\t1\n") {
		t.Error(e.log)
	}
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
	testutil.Must(t, os.RemoveAll(r.Settings.Batch.SchedulerBin.String()))
	if e := serve(t, ofStage(r, job.Config, ""), ""); e.result.Kind != "system" || !strings.Contains(e.result.Reason, "cannot use the executor \"slurm\": ") {
		t.Errorf("%+v", e.result)
	}
	r.Dirs = ipc.Dirs{} // of a config stage that failed
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
}

// TestPrepareWarns: each condition that would cause a less obvious error later has a line at the
// top of the job's log, and is not there without the condition.
func TestPrepareWarns(t *testing.T) {
	base := configured(t, newRequest(t))
	for name, tt := range map[string]struct {
		change func(*ipc.Request)
		want   string
	}{
		"the site's message":              {func(r *ipc.Request) { r.Settings.Message = "one\ntwo\n" }, "two"},
		"a directory of the job's choice": {func(r *ipc.Request) { r.Job.CustomBuilds = []byte("/x") }, "CUSTOM_CI_BUILDS_DIR has no effect"},
		"a misspelt variable": {func(r *ipc.Request) {
			r.Job.Misspelt = []ipc.Misspelt{{Name: "SCHEDULER_PARAMETER", Meant: "SCHEDULER_PARAMETERS"}}
		}, "SCHEDULER_PARAMETER has no effect: the name of the variable is SCHEDULER_PARAMETERS"},
		"no gitlab-runner":            {func(r *ipc.Request) { r.Job.Helper, r.Job.Path = true, []byte("/nonexistent:relative") }, "gitlab-runner is not in your PATH"},
		"no step-runner":              {func(r *ipc.Request) { r.Job.StepRunner, r.Job.Path = true, []byte("/nonexistent") }, "step-runner is not in your PATH"},
		"an image without containers": {func(r *ipc.Request) { r.Job.Image = true }, "image: has no effect on this resource"},
		"services without containers": {func(r *ipc.Request) { r.Job.Services = true }, "services: has no effect on this resource"},
	} {
		r := base
		tt.change(&r)
		if log := succeeds(t, r, "").log; !strings.Contains(log, tt.want) {
			t.Errorf("%s: %s", name, log)
		}
	}
	for name, change := range map[string]func(*ipc.Request){
		"a directory that the site allows": func(r *ipc.Request) { r.Job.CustomBuilds, r.Settings.CustomBuildDir = []byte("/x"), true },
		"a blank choice":                   func(r *ipc.Request) { r.Job.CustomBuilds = []byte(" \n") },
		"a path without need":              func(r *ipc.Request) { r.Job.Path = []byte("/nonexistent") },
	} {
		r := base
		change(&r)
		if log := succeeds(t, r, "").log; strings.Contains(log, "WARNING") {
			t.Errorf("%s: %s", name, log)
		}
	}
}

// TestProgramsOfTheRunner: gitlab-runner is looked for in the job's own PATH, or else in that of
// the login shell.
func TestProgramsOfTheRunner(t *testing.T) {
	r := configured(t, newRequest(t))
	bin := filepath.Join(r.Account.Home.String(), "bin")
	testutil.Must(t, os.Mkdir(bin, 0o700))
	r.Job.Helper = true
	profile := filepath.Join(r.Account.Home.String(), ".bash_profile")
	for _, tt := range []struct {
		name, path, profile string
		mode                os.FileMode
		warned              bool
	}{
		{"in the job's PATH", "/nonexistent:" + bin, "", 0o700, false},
		{"not executable", bin, "", 0o600, true},
		{"in the login's PATH", "", "PATH=$PATH:" + bin, 0o700, false},
		{"not in the login's PATH", "", "PATH=/usr/bin:/bin", 0o700, true},
		{"where the login fails", "", "exec true", 0o700, false},
	} {
		testutil.Must(t, os.RemoveAll(filepath.Join(bin, "gitlab-runner")), os.WriteFile(filepath.Join(bin, "gitlab-runner"), nil, tt.mode),
			os.WriteFile(profile, []byte("unset BASH_ENV\n"+tt.profile+"\n"), 0o600))
		r.Job.Path = []byte(tt.path)
		if log := succeeds(t, r, "").log; strings.Contains(log, "gitlab-runner is not in your PATH") != tt.warned {
			t.Errorf("%s: %s", tt.name, log)
		}
	}
	testutil.Must(t, os.Remove(filepath.Join(bin, "gitlab-runner")), os.Mkdir(filepath.Join(bin, "gitlab-runner"), 0o700))
	if r.Job.Path = []byte(bin); !strings.Contains(succeeds(t, r, "").log, "gitlab-runner is not in your PATH") {
		t.Error("a directory counts as a program")
	}
}

// TestVariablesOfDataDir: they are those of the login shell.
func TestVariablesOfDataDir(t *testing.T) {
	r := newRequest(t)
	home := r.Account.Home.String()
	profile := filepath.Join(home, ".bash_profile")
	r.Settings.DataDir, r.Settings.VariableDataDir = "$SCRATCH/$TEAM", true
	testutil.Must(t, os.WriteFile(profile, []byte("unset BASH_ENV; export SCRATCH="+home+"/scratch TEAM=blue\n"), 0o600), os.MkdirAll(filepath.Join(home, "scratch/blue"), 0o700))
	if base := configured(t, r).Dirs.Base.String(); !strings.HasPrefix(base, home+"/scratch/blue") {
		t.Error(base)
	}
	testutil.Must(t, os.WriteFile(profile, []byte("exec true\n"), 0o600))
	if e := serve(t, r, ""); e.result.Kind != "system" || !strings.HasPrefix(e.result.Reason, "cannot find the directory for your jobs, $SCRATCH/$TEAM: ") || !e.result.Dirs.Base.IsZero() {
		t.Errorf("%+v", e.result)
	}
}

// TestBlankPath: only a job that uses caches is warned of a blank.
func TestBlankPath(t *testing.T) {
	r := newRequest(t)
	r.Settings.DataDir = filepath.Join(r.Account.Home.String(), "a b")
	testutil.Must(t, os.Mkdir(r.Settings.DataDir, 0o700))
	r = configured(t, r)
	for helper, warned := range map[bool]bool{true: true, false: false} {
		r.Job.Helper, r.Job.Path = helper, []byte("/nonexistent")
		if log := succeeds(t, r, "").log; strings.Contains(log, "contains a blank") != warned {
			t.Error(log)
		}
	}
	for name, dirs := range map[string]ipc.Dirs{
		"builds": {Builds: testutil.AbsPath(t, "/a b"), Cache: testutil.AbsPath(t, "/c")},
		"cache":  {Builds: testutil.AbsPath(t, "/a"), Cache: testutil.AbsPath(t, "/c d")},
	} {
		if !hasBlankPath(ipc.Request{Job: ipc.Job{Helper: true}, Dirs: dirs}) {
			t.Error(name)
		}
	}
}

// TestLeftovers: the log of a later job has what earlier ones could not remove, up to a number.
func TestLeftovers(t *testing.T) {
	for n, want := range []int{0, 1, 2, 3, 4, 4} {
		file, err := os.Create(filepath.Join(t.TempDir(), "log"))
		testutil.Must(t, err)
		showLeftovers(joblog.NewWriter(file), slices.Repeat([]ipc.Leftover{{Path: "/x", Reason: "cannot remove /x"}}, n))
		text, err := os.ReadFile(file.Name())
		testutil.Must(t, err, file.Close())
		if got := strings.Count(string(text), "\n"); got != want || strings.Contains(string(text), fmt.Sprintf(": %d more files", n-3)) != (n > 3) {
			t.Errorf("%d: %s", n, text)
		}
	}
}

// TestMeasure: cleanup measures the build directory where it is asked to.
func TestMeasure(t *testing.T) {
	r := configured(t, newRequest(t))
	project := filepath.Join(r.Dirs.Builds.String(), r.Job.Project)
	testutil.Must(t, os.MkdirAll(project, 0o700), os.WriteFile(filepath.Join(project, "data"), make([]byte, 1<<16), 0o600))
	r.Measure = time.Minute
	e := succeeds(t, ofStage(r, job.Cleanup, ""), "")
	if len(e.notes) != 1 || e.notes[0].Disk == nil || e.notes[0].Disk.Bytes < 1<<16 || e.notes[0].Disk.Files == 0 || e.notes[0].Disk.Partial {
		t.Errorf("%+v", e.notes)
	}
}

// TestEndMarked: cleanup ends what a stage has left running where jacamar-auth knows no better,
// and only then.
func TestEndMarked(t *testing.T) {
	r := configured(t, newRequest(t))
	left := orphan(t, "JACAMAR_CI_JOB=t0ken/1")
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
	if left.Gone() {
		t.Error("a process was ended without a reason")
	}
	r.MayRun = true
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
	if !left.Gone() {
		t.Errorf("process %d is left", left.PID)
	}
}

// orphan starts a process with a pair in its environment, and ends what started it: jacamar
// spares those below a process of its own program, as this one is.
func orphan(t *testing.T, pair string) proctree.Process {
	t.Helper()
	cmd := exec.Command("setsid", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!")
	cmd.Env = []string{pair, "PATH=/usr/bin:/bin"}
	text, err := cmd.Output()
	testutil.Must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	testutil.Must(t, err)
	p, ok := proctree.Find(pid)
	if !ok {
		t.Fatalf("process %d has ended", pid)
	}
	t.Cleanup(func() { _ = p.Signal(syscall.SIGKILL) })
	return p
}

// TestGhost: the cleanup of an abandoned job waits for the end of its last stage.
func TestGhost(t *testing.T) {
	r := configured(t, newRequest(t))
	succeeds(t, r, "")
	ready := filepath.Join(r.Account.Home.String(), "ready")
	testutil.Must(t, syscall.Mkfifo(ready, 0o600))
	c := begin(t, ofStage(r, job.Run, job.BuildScript), "echo >"+ready+"; read <"+ready)
	_, err := os.ReadFile(ready)
	testutil.Must(t, err)
	r.Ghost = true
	cleaning := begin(t, ofStage(r, job.Cleanup, ""), "")
	testutil.Must(t, os.WriteFile(ready, []byte("\n"), 0))
	if e := c.end(); e.result.Failed() {
		t.Errorf("%+v\n%s", e.result, e.log)
	}
	if e := cleaning.end(); e.result.Failed() {
		t.Errorf("%+v", e.result)
	}
	if _, err := os.Stat(r.Dirs.Scripts.String()); err == nil {
		t.Error("the job's scripts are left")
	}
}

// TestNotAbandoned: the cleanup of another job waits for no stage.
func TestNotAbandoned(t *testing.T) {
	r := configured(t, newRequest(t))
	succeeds(t, r, "")
	ready := filepath.Join(r.Account.Home.String(), "ready")
	testutil.Must(t, syscall.Mkfifo(ready, 0o600))
	c := begin(t, ofStage(r, job.Run, job.BuildScript), "echo >"+ready+"; read <"+ready)
	_, err := os.ReadFile(ready)
	testutil.Must(t, err)
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
	testutil.Must(t, os.WriteFile(ready, []byte("\n"), 0))
	c.end()
}

// TestLostDirectory: a script that fails where the build directory is gone has not failed itself.
func TestLostDirectory(t *testing.T) {
	r := configured(t, newRequest(t))
	for _, script := range []string{"exit 3", "true"} {
		testutil.Must(t, os.RemoveAll(r.Dirs.Builds.String()))
		e := serve(t, ofStage(r, job.Run, job.BuildScript), script)
		if failed := script != "true"; e.result.Failed() != failed || failed && (e.result.Code != 0 || e.result.Kind != "system") {
			t.Errorf("%s: %+v", script, e.result)
		}
	}
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
}
