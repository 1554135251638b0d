package executor

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/settings"
)

// TestMain runs each scenario in a process of its own, which becomes the reaper
// of all its children.
func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv("EXECUTOR_SCENARIO"); ok {
		scenarios[name]()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var scenarios = map[string]func(){
	"every exit code": everyExitCode,
	"every signal":    everySignal,
	"stopped":         stoppedScript,
	"lost":            lostScript,
	"runs on":         runsOn,
	"no shell":        noShell,
	"no home":         noHome,
	"ask":             askOnce,
	"stages":          stages,
	"hidden":          hidden,
	"saved":           saved,
	"saved exit":      savedExit,
	"slow profile":    slowProfile,
	"folds":           folds,
	"stopped profile": stoppedProfile,
	"daemons":         daemons,
}

func scenario(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EXECUTOR_SCENARIO="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scenario %q: %v\n%s", name, err, out)
	}
	return string(out)
}

// local is made once in a process: a second reaper would collect what the first one waits
// for, and that would wait without end.
func local(shell, home string) Local {
	var reaps int32
	if err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&reaps)), 0, 0, 0); err != nil || reaps != 0 {
		panic(fmt.Sprintf("this process has a reaper: %v", err))
	}
	reaper, err := process.NewReaper(nil)
	if err != nil {
		panic(err)
	}
	return Local{
		Reaper: reaper, Shell: Shell{Path: shell, Env: []string{"PATH=" + searchPath, "HOME=" + home}, Home: home},
		Stdout: os.Stdout, Stderr: os.Stderr, Log: joblog.NewWriter(os.Stdout), Grace: 200 * time.Millisecond,
		Profiles: Profiles{Read: loginshell.Login, Warned: func() bool { return false }, WarnAfter: warnAfter},
	}
}

func never() process.Stop {
	return process.Stop{Terminate: make(chan struct{}), Abort: make(chan struct{})}
}

func report(err error) {
	code, ok := failure.ScriptCode(err)
	fmt.Println(code, ok, err)
}

func everyExitCode() {
	l := local("/bin/bash", "/nonexistent")
	l.Profiles.Read = loginshell.None // 256 logins would take their time
	for want := range 256 {
		err := l.Run(fmt.Appendf(nil, "exit %d", want), never())
		code, ok := failure.ScriptCode(err)
		if ok != (want != 0) || code != want || (err != nil && failure.KindOf(err) != failure.Build) {
			fmt.Printf("exit %d became %v\n", want, err)
		}
	}
}

func TestEveryExitCodeIsTheScriptsOwn(t *testing.T) {
	if out := scenario(t, "every exit code"); out != "" {
		t.Error(out)
	}
}

// deaths are signals that end a shell. INT is not among them: a bash that waits
// for a child leaves it to the child.
var deaths = []unix.Signal{unix.SIGHUP, unix.SIGABRT, unix.SIGKILL, unix.SIGSEGV, unix.SIGTERM, unix.SIGUSR1}

func everySignal() {
	// A signal that nohup(1) had ignored would be ignored by the shells as well.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP)
	l := local("/bin/bash", "/nonexistent")
	for _, sig := range deaths {
		for _, process := range []string{"$$", "$BASHPID"} {
			report(l.Run(fmt.Appendf(nil, "ulimit -c 0; kill -%d %s", int(sig), process), never()))
		}
	}
}

// TestDeathBySignalNamesIt sends signals to the process that $$ names, and to the
// one below it that runs the script, of which there is only the exit code.
func TestDeathBySignalNamesIt(t *testing.T) {
	var want strings.Builder
	for _, sig := range deaths {
		fmt.Fprintf(&want, "%d true the job's script was ended by signal %d (%s)\n", 128+int(sig), int(sig), unix.SignalName(sig))
		fmt.Fprintf(&want, "%[1]d true the job's script ended with exit code %[1]d\n", 128+int(sig))
	}
	if out := scenario(t, "every signal"); out != want.String() {
		t.Errorf("got\n%swant\n%s", out, want.String())
	}
}

// when closes the channel once the script has made a file.
func when(file string) chan struct{} {
	c := make(chan struct{})
	go func() {
		for {
			if _, err := os.Stat(file); err == nil {
				close(c)
				return
			}
			runtime.Gosched()
		}
	}()
	return c
}

func stoppedScript() {
	dir, err := os.MkdirTemp("", "stopped")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	l := local("/bin/bash", "/nonexistent")
	for i, script := range []string{
		"trap 'exit 0' TERM; touch %s; while :; do sleep 0.05; done",
		"trap 'exit 9' TERM; touch %s; while :; do sleep 0.05; done",
		"trap '' TERM; touch %s; while :; do sleep 0.05; done",
	} {
		file := fmt.Sprintf("%s/%d", dir, i)
		report(l.Run(fmt.Appendf(nil, script, file), process.Stop{Terminate: when(file), Abort: make(chan struct{})}))
	}
	fmt.Println(l.Reaper.Empty())
}

func TestStoppedScriptNeverSucceeds(t *testing.T) {
	want := "143 true the job was stopped\n9 true the job was stopped\n137 true the job was stopped\ntrue\n"
	if out := scenario(t, "stopped"); out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

func runsOn() {
	dir, err := os.MkdirTemp("", "runs-on")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	l := local("/bin/bash", "/nonexistent")
	l.Grace = runsOnAfter + time.Second
	report(l.Run(fmt.Appendf(nil, "trap '' TERM; touch %s/file; while :; do sleep 0.05; done", dir), process.Stop{Terminate: when(dir + "/file"), Abort: make(chan struct{})}))
}

// TestScriptThatRunsOnIsNoted: someone who waits for the end of a job reads why it takes long.
func TestScriptThatRunsOnIsNoted(t *testing.T) {
	t.Parallel()
	const want = "the job was stopped, and its script has not ended (it has SIGTERM); what is left of it is killed after 6s"
	if out := scenario(t, "runs on"); strings.Count(out, want) != 1 || !strings.HasSuffix(out, "137 true the job was stopped\n") {
		t.Errorf("got %s", out)
	}
}

func lostScript() {
	dir, err := os.MkdirTemp("", "lost")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	l := local("/bin/bash", "/nonexistent")
	l.Grace = time.Hour
	at := when(dir + "/file")
	err = l.Run(fmt.Appendf(nil, "trap '' TERM; touch %s/file; while :; do sleep 0.05; done", dir), process.Stop{Terminate: at, Abort: at})
	report(err)
	fmt.Println(l.Reaper.Empty())
}

func TestLostJobIsKilledAtOnce(t *testing.T) {
	if out := scenario(t, "lost"); out != "137 true the job was stopped\ntrue\n" {
		t.Errorf("got %s", out)
	}
}

func noShell() { report(local("/nonexistent/bash", "/").Run(nil, never())) }

func TestMissingShellIsTheResourcesFault(t *testing.T) {
	if out := scenario(t, "no shell"); out != "0 false cannot start the job's shell: cannot start /nonexistent/bash: no such file or directory\n" &&
		!strings.HasPrefix(out, "0 false cannot start the job's shell") {
		t.Errorf("got %s", out)
	}
}

func noHome() { report(local("/bin/bash", "/nonexistent").Run([]byte("pwd"), never())) }

func TestWithoutHomeTheScriptBeginsInTheRootDirectory(t *testing.T) {
	if out := scenario(t, "no home"); out != "/\n0 false <nil>\n" {
		t.Errorf("got %s", out)
	}
}

func TestShellEnvironment(t *testing.T) {
	name, _ := job.ParseUsername("alice")
	home, _ := job.ParseAbsPath("/home/alice")
	login, _ := job.ParseAbsPath("/bin/zsh")
	extra, _ := job.ParseEnv("LMOD_ADMIN_FILE=none")
	b := ipc.Request{Stage: job.Run, SubStage: job.BuildScript, Account: job.Account{Name: name, Home: home, Shell: login}, Settings: ipc.Settings{General: settings.General{UserBashEnv: []job.Env{extra}}}}
	s := NewShell(b)
	if s.Path != "/bin/bash" || s.Home != "/home/alice" {
		t.Errorf("got %+v", s)
	}
	for _, want := range []string{"HOME=/home/alice", "USER=alice", "LOGNAME=alice", "SHELL=/bin/zsh", "PATH=/usr/local/bin:/usr/bin:/bin", "LMOD_ADMIN_FILE=none", "JACAMAR_CI_SHELL=true", "JACAMAR_CI_STAGE=build_script"} {
		if !slices.Contains(s.Env, want) {
			t.Errorf("%s is missing from %q", want, s.Env)
		}
	}
	b.Stage, b.SubStage, b.Settings.ShellPath = job.Prepare, "", login
	if s := NewShell(b); s.Path != "/bin/zsh" || !slices.Contains(s.Env, "JACAMAR_CI_STAGE=prepare") {
		t.Errorf("got %+v", s)
	}
}
