package containers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// begin starts a job and waits until its script prints text.
func (r *rig) begin(t *testing.T, j fakerunner.Job, text string) *fakerunner.Execution {
	t.Helper()
	e := r.runner.Start(j)
	ctx, stop := context.WithTimeout(context.Background(), 2*limit)
	defer stop()
	if err := e.AwaitOutput(ctx, "build_script", text); err != nil {
		e.Abort()
		t.Fatalf("%v; the log:\n%s", err, e.Wait().Trace)
	}
	return e
}

// A cancelled job runs the traps of its script, and then its after_script in another
// container.
func TestCancelRunsTheTrap(t *testing.T) {
	over(t, func(t *testing.T, r *rig) {
		if r.executor == "fake sge" {
			t.Skip("Grid Engine kills a script without a signal before")
		}
		for i, image := range []string{"bb:1", "group/project/bash:1", "entry:1", "fork:1"} {
			if r.brief && i > 0 {
				break
			}
			t.Run(image, func(t *testing.T) {
				j := r.job(image, lines("trap 'echo trapped $((6*7)); exit 42' TERM", "echo ready $((6*7))", "while :; do sleep 0.1; done"))
				j.AfterScript, j.Bare = []string{"echo after $CI_JOB_STATUS"}, true
				e := r.begin(t, j, "ready 42")
				e.Cancel()
				result := e.Wait()
				site.Want(t, result, fakerunner.Canceled, 0, "trapped 42", "after canceled")
				r.nothingLeft(t)
			})
		}
	})
}

// A script that ignores the request to stop ends all the same, with everything below it;
// so does one whose entrypoint ignores it, which no trap of the script can change
// (POSIX, trap).
func TestCancelEndsADeafScript(t *testing.T) {
	over(t, func(t *testing.T, r *rig) {
		r.only(t)
		j := r.job("deaf:1", lines("trap '' TERM INT HUP", "setsid sleep 1000 & (while :; do sleep 1; done) &", "echo ready $((6*7))", "while :; do sleep 0.1; done"))
		j.Bare = true
		e := r.begin(t, j, "ready 42")
		e.Cancel()
		site.Want(t, e.Wait(), fakerunner.Canceled, 0)
		r.nothingLeft(t)
	})
}

// The end of the script is the end of what it started in the background.
func TestDaemonEndsWithTheScript(t *testing.T) {
	over(t, func(t *testing.T, r *rig) {
		r.only(t)
		j := r.job("bb:1", lines("nohup sleep 1000 >/dev/null 2>&1 &", "setsid sh -c 'trap \"\" TERM; sleep 1001' &", "(sleep 1002 &)", "echo started $((6*7))"))
		j.Bare = true
		site.Want(t, r.run(t, j), fakerunner.Success, 0, "started 42")
	})
}

// A time limit of the script is a request to stop too.
func TestTimeLimit(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		j := r.job("bb:1", "echo ready $((6*7)); sleep 1000")
		j.Bare = true
		j = site.WithVariable(j, "RUNNER_SCRIPT_TIMEOUT", "3s")
		site.Want(t, r.run(t, j), fakerunner.Timeout, 0, "ready 42")
	})
}

// No output is lost, changed or reordered.
func TestMuchOutput(t *testing.T) {
	over(t, func(t *testing.T, r *rig) {
		r.only(t)
		const line = "0123456789abcdef"
		megabytes := 16
		if !testing.Short() {
			megabytes = 1024
		}
		r.runner.CaptureLimit, r.runner.TraceLimit = 1<<20, 1<<20
		count := megabytes << 20 / (len(line) + 1)
		j := r.job("bb:1", fmt.Sprintf("yes %s | head -n %d || :; echo the-end", line, count))
		j.Bare = true
		result := r.run(t, j)
		call, _ := result.Call("build_script")
		if want := int64(count * (len(line) + 1)); result.Outcome != fakerunner.Success || call.StdoutCount+call.StderrCount < want {
			t.Errorf("%s: %d bytes arrived, want at least %d", result.Outcome, call.StdoutCount+call.StderrCount, want)
		}
	})
}

// What the login environment of the account has is not inside: neither in the script's
// environment nor in that of a process that it can see.
func TestHostEnvironmentStaysOutside(t *testing.T) {
	over(t, func(t *testing.T, r *rig) {
		r.only(t)
		const secret = "host-secret-4711"
		r.inHome(t, ".bash_profile", "export HOST_SECRET="+secret+" LD_LIBRARY_PATH=/nowhere PYTHONPATH=/nowhere BASH_ENV=/nowhere\n")
		j := r.job("group/project/bash:1", lines("env", "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' || :", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' || :", "ls /home", "echo done $((6*7))"))
		j.Bare = true
		result := r.run(t, j)
		site.Want(t, result, fakerunner.Success, 0, "done 42")
		for _, text := range []string{secret, "/nowhere", "JOB_RESPONSE_FILE", "CUSTOM_ENV_"} {
			if strings.Contains(result.Trace, text) {
				t.Errorf("%q is in the job log:\n%s", text, result.Trace)
			}
		}
	})
}
