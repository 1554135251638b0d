package lsf

import (
	"errors"
	"slices"
	"testing"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/schedulertest"
)

// TestReplyWithoutJSON: only a version without JSON, or the report that there is no such
// job, lets the next query decide.
func TestReplyWithoutJSON(t *testing.T) {
	const usage = "bjobs: illegal option -- json\nUsage: bjobs ...\n"
	for name, tt := range map[string]struct {
		reply scheduler.Reply
		want  string
	}{
		"no JSON":            {scheduler.Reply{Code: 255, Stderr: usage}, "missing"},
		"no error":           {scheduler.Reply{Stderr: usage}, "unknown"},
		"no such job":        {scheduler.Reply{Code: 255, Stderr: "Job <12> is not found\n"}, "missing"},
		"no such job, by 0":  {scheduler.Reply{Stdout: "No matching job found\n"}, "missing"},
		"down":               {scheduler.Reply{Code: 255, Stderr: "LSF is down. Please wait ...\n"}, "unknown"},
		"not ended":          {scheduler.Reply{Code: 255, Stderr: usage, Err: errors.New("killed")}, "unknown"},
		"silence":            {scheduler.Reply{}, "unknown"},
		"more than one line": {scheduler.Reply{Stdout: `{"RECORDS":[{"STAT":"RUN"},{"STAT":"RUN"}]}`}, "unknown"},
	} {
		if got := schedulertest.Describe(parseJob(tt.reply)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestHistoryBegins(t *testing.T) {
	const subject = "\nJob <12>, Job Name <ci-r-1>, User <alice>, Project <default>, Command <job>\n"
	for text, want := range map[string]string{
		subject: "unknown", subject + "Fri Nov 20 18:00:00: Submitted from host <login1>, to Queue <normal>;\n": "pending queued",
	} {
		if got := schedulertest.Describe(parseHistory(scheduler.Reply{Stdout: text})); got != want {
			t.Errorf("%s%s, want %s", text, got, want)
		}
	}
}

func TestReasonName(t *testing.T) {
	for text, want := range map[string]string{"": "PEND", "Not enough slots": "Not enough slots"} {
		if got := reasonOf(text, states()["PEND"]).Name; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestFindCommand: without a name all jobs of the user that have not ended are listed.
func TestFindCommand(t *testing.T) {
	for name, want := range map[string]bool{"ci-r-1": true, "": false} {
		if argv := (LSF{}).Find("alice", name).Argv; slices.Contains(argv, "-J") != want || slices.Contains(argv, "-a") != want {
			t.Errorf("%q: %q", name, argv)
		}
	}
}

// TestDirectoryWithPattern: a percent sign cannot be escaped.
func TestDirectoryWithPattern(t *testing.T) {
	for dir, want := range map[string]bool{"/home/a": true, "/home/100%": false} {
		if c := (LSF{}).Submit(scheduler.Spec{Name: "n", Dir: dir, Script: "s"}, nil); slices.Contains(c.Argv, "-cwd") != want || c.Dir != dir {
			t.Errorf("%s: %q in %s", dir, c.Argv, c.Dir)
		}
	}
}

func TestFindRejects(t *testing.T) {
	const record = `{"RECORDS":[{"JOBID":"12","JOB_NAME":"ci","STAT":"RUN"},{"JOBID":"x","JOB_NAME":"ci","STAT":"RUN"},{"JOBID":"13","ERROR":"Job <13> is not found"}]}`
	found, err := LSF{}.ParseFind(scheduler.Reply{Stdout: record, Stderr: "Job <13> is not found\n"})
	if err != nil || len(found) != 1 || found[0].ID != "12" {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := (LSF{}).ParseFind(scheduler.Reply{Code: 255, Stderr: "No job found\n", Err: errors.New("killed")}); err == nil {
		t.Error("a query that has not ended has found that there are no jobs")
	}
}
