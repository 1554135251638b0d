package fakerunner_test

import (
	"bytes"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
)

func TestTraceMasksSplitSecrets(t *testing.T) {
	script := `printf job-; read -t 0.05 <> <(:); printf 'token\n'; echo "job-to"; printf 'end job-tok'`
	r := newRunner(t, on{"run": inStage("build_script", script)}).Run(newJob())
	if strings.Contains(r.Trace, "job-token") {
		t.Errorf("the trace has the secret:\n%s", r.Trace)
	}
	for _, want := range []string{"[MASKED]\njob-to\n", "end job-tok"} {
		if !strings.Contains(r.Trace, want) {
			t.Errorf("no %q in the trace:\n%s", want, r.Trace)
		}
	}
	if got := string(call(t, r, "build_script").Stdout); got != "job-token\njob-to\nend job-tok" {
		t.Errorf("the call's own record is changed: %q", got)
	}
}

func TestTraceMasksStandardErrorToo(t *testing.T) {
	r := newRunner(t, on{"run": inStage("build_script", `echo "xjob-tokenx" >&2`)}).Run(newJob())
	if !strings.Contains(r.Trace, "x[MASKED]x\n") {
		t.Errorf("trace:\n%s", r.Trace)
	}
}

func TestLongestSecretIsMasked(t *testing.T) {
	j := newJob()
	j.Variables = append(j.Variables, fakerunner.Variable{Key: "LONG", Value: "job-token-and-more", Masked: true})
	r := newRunner(t, on{"run": inStage("build_script", "echo job-token-and-more; echo job-token-and")}).Run(j)
	if !strings.Contains(r.Trace, "[MASKED]\n[MASKED]-and\n") {
		t.Errorf("trace:\n%s", r.Trace)
	}
}

func TestTraceLimitDropsSilently(t *testing.T) {
	runner := newRunner(t, on{"run": inStage("build_script", "head -c 100000 /dev/zero | tr '\\0' x")})
	runner.TraceLimit, runner.CaptureLimit = 5000, 2000
	r := runner.Run(newJob())
	outcome(t, r, fakerunner.Success)
	c := call(t, r, "build_script")
	if len(r.Trace) != 5000 || len(c.Stdout) != 2000 || c.StdoutCount != 100000 {
		t.Errorf("trace %d bytes, kept %d of %d", len(r.Trace), len(c.Stdout), c.StdoutCount)
	}
}

func TestHooks(t *testing.T) {
	runner := newRunner(t, on{"run": inStage("build_script", "echo out; echo err >&2")})
	var started []fakerunner.Process
	var ended []string
	var out, trace bytes.Buffer
	runner.Hooks = fakerunner.Hooks{
		Started: func(p fakerunner.Process) { started = append(started, p) },
		Trace:   func(p []byte) { trace.Write(p) },
		Ended:   func(c fakerunner.Call) { ended = append(ended, c.Stage) },
		Output: func(stage string, s fakerunner.Stream, p []byte) {
			if stage == "build_script" && s == fakerunner.Stdout {
				out.Write(p)
			}
		},
	}
	r := runner.Run(newJob())
	if len(started) != len(r.Calls) || started[4].PID != r.Calls[4].PID || strings.Join(ended, " ") != minimal {
		t.Errorf("started %v, ended %v", started, ended)
	}
	if trace.String() != r.Trace {
		t.Errorf("trace hook got %q, the trace is %q", trace.String(), r.Trace)
	}
	if out.String() != "out\n" {
		t.Errorf("output hook got %q", out.String())
	}
}

func TestAwaitMissingText(t *testing.T) {
	e := newRunner(t, on{"run": "exit 0"}).Start(newJob())
	if _, err := e.AwaitStage(soon(t), "after_script", 1); err == nil {
		t.Error("a stage that did not run was reported")
	}
	if err := e.AwaitOutput(soon(t), "build_script", "x"); err == nil {
		t.Error("output that was not printed was reported")
	}
	e.Wait()
}

func TestAwaitStage(t *testing.T) {
	e := newRunner(t, on{"config": "exit 2"}).Start(newJob())
	p, err := e.AwaitStage(soon(t), "config", 3)
	if err != nil {
		t.Fatal(err)
	}
	if r := e.Wait(); r.Calls[4].PID != p.PID {
		t.Errorf("pid %d, want that of the third config %d", p.PID, r.Calls[4].PID)
	}
}
