package site

import (
	"context"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
)

// Want compares the runner's report of a job with the expected one, and requires texts in
// the job's log.
func Want(t testing.TB, r fakerunner.Result, outcome fakerunner.Outcome, code int, texts ...string) {
	t.Helper()
	if r.Outcome != outcome || r.ExitCode != code {
		t.Errorf("the job ended as %s with code %d (%s), want %s with %d; its log:\n%s", r.Outcome, r.ExitCode, r.Reason, outcome, code, r.Trace)
	}
	Shows(t, r, texts...)
}

// Shows requires texts in the log of a job.
func Shows(t testing.TB, r fakerunner.Result, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.Trace, text) {
			t.Errorf("no %q in the job log:\n%s", text, r.Trace)
		}
	}
}

// Begin starts a job with a script that prints "under way", and waits for that.
func Begin(t testing.TB, r *fakerunner.Runner, j fakerunner.Job, script string) *fakerunner.Execution {
	t.Helper()
	j.Raw = map[string][]byte{"build_script": []byte(script)}
	e := r.Start(j)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.AwaitOutput(ctx, "build_script", "under way"); err != nil {
		e.Abort()
		t.Fatalf("%v; the log:\n%s", err, e.Wait().Trace)
	}
	return e
}
