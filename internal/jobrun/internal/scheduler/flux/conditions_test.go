package flux

import (
	"errors"
	"slices"
	"testing"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/schedulertest"
)

func TestFailedQuery(t *testing.T) {
	const row = "fK|n|RUN||||16|||n1||\n"
	for name, tt := range map[string]struct {
		reply scheduler.Reply
		want  string
	}{
		"success":        {scheduler.Reply{Stdout: row}, "running on n1"},
		"failed":         {scheduler.Reply{Stdout: row, Code: 1}, "unknown"},
		"not ended":      {scheduler.Reply{Stdout: row, Err: errors.New("killed")}, "unknown"},
		"no such, ended": {scheduler.Reply{Code: 1, Stderr: "flux-job: No such job\n"}, "missing"},
		"no such, not":   {scheduler.Reply{Code: 1, Stderr: "flux-job: No such job\n", Err: errors.New("killed")}, "unknown"},
	} {
		if got := schedulertest.Describe(parseJob(tt.reply)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestReasonNames: only a job that waits for others is explained by them.
func TestReasonNames(t *testing.T) {
	for row, want := range map[string]string{
		"fK|n|DEPEND||||16||||after-finish=f2|": "after-finish=f2", "fK|n|DEPEND||||16|||||": "DEPEND", "fK|n|DEPEND||||0|||||": "DEPEND",
		"fK|n|SCHED||||16||||after-finish=f2|": "SCHED", "fK|n|SCHED||||0|||||": "urgency=0",
	} {
		if got := parseJob(scheduler.Reply{Stdout: row + "\n"}).Reason.Name; got != want {
			t.Errorf("%s: %q, want %q", row, got, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"": {}, "0": {}, "0.5": {}, "-1": {}, "x": {}, "1x": {}, "NaN": {}, "inf": {}, "1e999": {}, "1099511627776": {},
		"1": time.Unix(1, 0), "1700000000.5": time.Unix(1700000000, 5e8), "1099511627775": time.Unix(1<<40-1, 0),
	} {
		if got := parseTime(text); !got.Equal(want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestFindCommand: without a name all jobs of the user are listed.
func TestFindCommand(t *testing.T) {
	for name, want := range map[string]bool{"ci-1": true, "": false} {
		argv := Flux{}.Find("alice", name).Argv
		if slices.Contains(argv, "--name="+name) != want || !slices.Contains(argv, "alice") {
			t.Errorf("%q: %q", name, argv)
		}
	}
	found, err := Flux{}.ParseFind(scheduler.Reply{Stdout: "0|ci-1|RUN||||16|||n1||\n|||||||||||\n"})
	if err != nil || found != nil {
		t.Errorf("rows without an id: %+v, %v", found, err)
	}
}
