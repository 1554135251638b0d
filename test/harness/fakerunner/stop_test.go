package fakerunner_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
)

// forever waits for a signal that ends it, without a child that would have to be
// ended too.
const forever = `while :; do read -t 10 <> <(:); done`

// settled is long enough for a bash on a busy machine to set its trap.
const settled = 300 * time.Millisecond

// inStage is the text for ON_run that does something in one stage and lets the
// others succeed.
func inStage(stage, text string) string {
	return `[ "$2" = ` + stage + ` ] || exit 0; ` + text
}

func TestConfigAndPrepareTimeout(t *testing.T) {
	tests := []struct {
		name, stage, text string
		outcome           fakerunner.Outcome
		calls             int
	}{
		{"exit 0 on SIGTERM is success", "config", "trap 'exit 0' TERM; ", fakerunner.Success, 7},
		{"in prepare as well", "prepare", "trap 'exit 0' TERM; ", fakerunner.Success, 7},
		{"exit 1 is the job's fault and final", "config", "trap 'exit 1' TERM; ", fakerunner.ScriptFailure, 2},
		{"exit 2 is tried again", "config", "trap 'exit 2' TERM; ", fakerunner.SystemFailure, 6},
		{"so is death by SIGTERM", "prepare", "", fakerunner.SystemFailure, 9},
		{"and by SIGKILL behind an ignored SIGTERM", "config", "trap '' TERM; ", fakerunner.SystemFailure, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			runner := newRunner(t, on{tt.stage: tt.text + forever, "run": "exit 0"})
			runner.Custom.ConfigTimeout, runner.Custom.PrepareTimeout = settled, settled
			runner.Custom.GracefulKill = 200 * time.Millisecond
			r := runner.Run(newJob())
			outcome(t, r, tt.outcome)
			if len(r.Calls) != tt.calls {
				t.Errorf("calls %v, want %d", r.Stages(), tt.calls)
			}
		})
	}
}

func TestConfigTimeoutLeavesNoConfiguration(t *testing.T) {
	runner := newRunner(t, on{"config": `trap 'exit 0' TERM; ` + forever + `; printf '{"builds_dir":"/secure"}'`, "run": "exit 0"})
	runner.Custom.ConfigTimeout = settled
	r := runner.Run(newJob())
	outcome(t, r, fakerunner.Success)
	if r.BuildsDir != runner.BuildsDir {
		t.Errorf("builds directory %s, want the runner's own", r.BuildsDir)
	}
}

func TestJobTimeout(t *testing.T) {
	j := fullJob("")
	j.Timeout = 5 * settled
	r := newRunner(t, on{"run": inStage("build_script", forever)}).Run(j)
	outcome(t, r, fakerunner.Timeout)
	want := "config prepare prepare_script get_sources restore_cache download_artifacts build_script cleanup"
	if got := strings.Join(r.Stages(), " "); got != want {
		t.Errorf("stages %s, want %s", got, want)
	}
	if c := call(t, r, "build_script"); c.Signal != syscall.SIGTERM {
		t.Errorf("the script's driver ended with %d, %v; want SIGTERM", c.Status, c.Signal)
	}
}

func TestScriptTimeout(t *testing.T) {
	j := with(fullJob(""), "RUNNER_SCRIPT_TIMEOUT", "200ms")
	r := newRunner(t, on{"run": `[ "$2" != after_script ] || echo "$CUSTOM_ENV_CI_JOB_STATUS"; ` + inStage("build_script", forever)}).Run(j)
	outcome(t, r, fakerunner.Timeout)
	if got := strings.Join(r.Stages()[6:], " "); got != "build_script after_script archive_cache_on_failure upload_artifacts_on_failure cleanup_file_variables cleanup" {
		t.Errorf("stages from the script on: %s", got)
	}
	if got := string(call(t, r, "after_script").Stdout); got != "timedout\n" {
		t.Errorf("CI_JOB_STATUS in after_script is %q", got)
	}
}

func TestAfterScriptTimeout(t *testing.T) {
	j := newJob("true")
	j.AfterScript = []string{"x"}
	r := newRunner(t, on{"run": inStage("after_script", forever)}).Run(with(j, "RUNNER_AFTER_SCRIPT_TIMEOUT", "100ms"))
	outcome(t, r, fakerunner.Success)
	if c := call(t, r, "after_script"); c.Signal != syscall.SIGTERM {
		t.Errorf("after_script ended with %d, %v", c.Status, c.Signal)
	}
}

func TestStopRequests(t *testing.T) {
	whole := "build_script after_script archive_cache_on_failure upload_artifacts_on_failure cleanup_file_variables cleanup"
	tests := []struct {
		name, stage string
		request     func(*fakerunner.Execution)
		outcome     fakerunner.Outcome
		want        string // the calls from the stage on
		status      string // CI_JOB_STATUS in after_script
	}{
		{"cancel in the script", "build_script", (*fakerunner.Execution).Cancel, fakerunner.Canceled, whole, "canceled"},
		{"cancel in get_sources", "get_sources", (*fakerunner.Execution).Cancel, fakerunner.Canceled, "get_sources cleanup", ""},
		{"abort in the script", "build_script", (*fakerunner.Execution).Abort, fakerunner.Aborted, "build_script cleanup", ""},
		{"abort in after_script", "after_script", (*fakerunner.Execution).Abort, fakerunner.Aborted, "after_script cleanup", "success"},
		{"the runner gets SIGTERM", "build_script", (*fakerunner.Execution).Interrupt, fakerunner.Interrupted, "build_script cleanup", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			runner := newRunner(t, on{"run": `[ "$2" != after_script ] || echo "$CUSTOM_ENV_CI_JOB_STATUS"; ` + inStage(tt.stage, "echo up; "+forever)})
			e := runner.Start(fullJob(""))
			if err := e.AwaitOutput(soon(t), tt.stage, "up"); err != nil {
				t.Fatal(err)
			}
			tt.request(e)
			r := e.Wait()
			outcome(t, r, tt.outcome)
			stages := strings.Join(r.Stages(), " ")
			if got := stages[strings.LastIndex(stages, tt.stage):]; got != tt.want {
				t.Errorf("stages %s, want %s", got, tt.want)
			}
			if c, ok := r.Call("after_script"); ok && strings.Fields(string(c.Stdout))[0] != tt.status {
				t.Errorf("CI_JOB_STATUS %q, want %s", c.Stdout, tt.status)
			}
		})
	}
}

func TestCancelAfterScript(t *testing.T) {
	j := newJob()
	j.AfterScript = []string{"x"}
	gate := t.TempDir() + "/gate"
	runner := newRunner(t, on{"run": inStage("after_script", `echo up; while [ ! -e "$GATE" ]; do read -t 0.02 <> <(:); done`)})
	runner.Environ = append(runner.Environ, "GATE="+gate)
	e := runner.Start(j)
	if err := e.AwaitOutput(soon(t), "after_script", "up"); err != nil {
		t.Fatal(err)
	}
	e.Cancel()
	touch(t, gate)
	outcome(t, e.Wait(), fakerunner.Success)
}

func TestCancelInConfigWaitsForNoRetry(t *testing.T) {
	runner := newRunner(t, on{"config": "echo up >&2; " + forever})
	e := runner.Start(newJob())
	if err := e.AwaitOutput(soon(t), "config", "up"); err != nil {
		t.Fatal(err)
	}
	e.Cancel()
	r := e.Wait()
	outcome(t, r, fakerunner.Canceled)
	if got := strings.Join(r.Stages(), " "); got != "config cleanup" {
		t.Errorf("stages %s", got)
	}
}

func TestWholeGroupIsSignalled(t *testing.T) {
	// The child is in the driver's group, ignores SIGTERM and holds the pipes.
	runner := newRunner(t, on{"run": inStage("build_script", `(trap '' TERM; echo "child=$BASHPID"; `+forever+`) & wait`)})
	e := runner.Start(newJob())
	if err := e.AwaitOutput(soon(t), "build_script", "child="); err != nil {
		t.Fatal(err)
	}
	e.Abort()
	r := e.Wait()
	c := call(t, r, "build_script")
	if c.Duration < runner.Custom.GracefulKill {
		t.Errorf("the stage took %v, less than the graceful time %v", c.Duration, runner.Custom.GracefulKill)
	}
	if pid := fact(t, c, "child"); alive(pid) {
		t.Errorf("the child %s is still running", pid)
	}
}

func TestAnotherSessionSurvives(t *testing.T) {
	runner := newRunner(t, on{"run": inStage("build_script", `setsid bash -c 'echo "child=$$"; exec >&- 2>&-; exec sleep 1000' & wait`)})
	e := runner.Start(newJob())
	if err := e.AwaitOutput(soon(t), "build_script", "child="); err != nil {
		t.Fatal(err)
	}
	e.Abort()
	r := e.Wait()
	pid, _ := strconv.Atoi(fact(t, call(t, r, "build_script"), "child"))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the runner ended process %d of another session: %v", pid, err)
	}
}

func TestOpenPipeDelaysStage(t *testing.T) {
	gate := t.TempDir() + "/gate"
	runner := newRunner(t, on{"run": inStage("build_script", `setsid bash -c 'echo up; while [ ! -e "$GATE" ]; do read -t 0.02 <> <(:); done; echo last' & exit 0`)})
	runner.Environ = append(runner.Environ, "GATE="+gate)
	e := runner.Start(newJob())
	if err := e.AwaitOutput(soon(t), "build_script", "up"); err != nil {
		t.Fatal(err)
	}
	touch(t, gate)
	r := e.Wait()
	outcome(t, r, fakerunner.Success)
	if !strings.HasSuffix(string(call(t, r, "build_script").Stdout), "last\n") {
		t.Errorf("the stage ended before its pipes did: %q", call(t, r, "build_script").Stdout)
	}
}

func TestOpenPipeWithoutProcessGroup(t *testing.T) {
	runner := newRunner(t, on{"run": inStage("build_script", `setsid bash -c 'echo "child=$$"; exec sleep 1000' & exit 0`)})
	runner.Custom.GracefulKill, runner.Custom.ForceKill = 150*time.Millisecond, 100*time.Millisecond
	j := newJob()
	j.Timeout = 5 * settled
	r := runner.Run(j)
	outcome(t, r, fakerunner.Timeout)
	c := call(t, r, "build_script")
	if pid, _ := strconv.Atoi(fact(t, c, "child")); syscall.Kill(pid, syscall.SIGKILL) != nil {
		t.Errorf("the process %d that holds the pipe has ended", pid)
	}
	if len(c.Warnings) != 3 || !strings.Contains(c.Warnings[0], "no such process") {
		t.Errorf("warnings %q, want three of no such process", c.Warnings)
	}
	if want := 5*settled + 250*time.Millisecond; r.Duration < want || !strings.Contains(c.Failure, "dormant") {
		t.Errorf("the job took %v, want at least %v; %s", r.Duration, want, c.Failure)
	}
}

// alive reports whether a process runs; one that only waits to be reaped does not.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// TestServiceAccountSignalsOnlyItsOwn is a runner without privileges whose
// driver started a process as another account, in the same process group.
func TestServiceAccountSignalsOnlyItsOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start the driver as another account")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("no setpriv, which becomes another account")
	}
	dir := openDir(t)
	climb := filepath.Join(dir, "climb")
	b, err := os.ReadFile(setpriv)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(climb, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(climb, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	runner := newRunner(t, nil)
	runner.Credential, runner.TempRoot = &fakerunner.Credential{UID: 65534, GID: 65534}, dir
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	runner.Custom = fakerunner.Custom{
		Run:          []string{"/bin/bash", "-c", climb + ` --reuid=0 --clear-groups bash -c 'echo "child=$$"; exec >&- 2>&-; exec sleep 1000' & wait`},
		GracefulKill: 300 * time.Millisecond, ForceKill: 300 * time.Millisecond,
	}
	e := runner.Start(newJob())
	if err := e.AwaitOutput(soon(t), "prepare_script", "child="); err != nil {
		t.Fatal(err)
	}
	e.Abort()
	c := call(t, e.Wait(), "prepare_script")
	if c.Signal != syscall.SIGTERM {
		t.Errorf("the driver ended with %d, %v; want SIGTERM; %q %s", c.Status, c.Signal, c.Warnings, c.Failure)
	}
	pid := fact(t, c, "child")
	if !alive(pid) {
		t.Errorf("the child %s of another account got the signal", pid)
	}
	if n, err := strconv.Atoi(pid); err != nil || syscall.Kill(n, syscall.SIGKILL) != nil {
		t.Errorf("cannot end the child %s: %v", pid, err)
	}
}

// TestLongestCall: a call that no limit of the runner ends fails the test, with the processes.
func TestLongestCall(t *testing.T) {
	r := newRunner(t, on{"prepare": "sleep 1000 & wait"})
	r.Longest = time.Second
	res := r.Run(newJob("true"))
	outcome(t, res, fakerunner.SystemFailure)
	if c := call(t, res, "prepare"); !strings.Contains(c.Failure, "has not ended in 1s") || !strings.Contains(c.Failure, "sleep 1000") {
		t.Errorf("the call failed with %q", c.Failure)
	}
}
