package site

import (
	"strings"
	"testing"

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
