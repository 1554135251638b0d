package sge

import (
	"errors"
	"slices"
	"testing"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/schedulertest"
)

func TestSubmitStatus(t *testing.T) {
	const full, other, verified = "Unable to run job: job rejected: only 5 jobs are allowed per user (current job count: 5)", "Unable to run job: unknown queue", "verification: found suitable queue(s)\n"
	late := errors.New("killed")
	for name, tt := range map[string]struct {
		reply scheduler.Reply
		want  scheduler.Outcome
	}{
		"verified":              {scheduler.Reply{Stdout: verified}, scheduler.Refused},
		"verified, not ended":   {scheduler.Reply{Stdout: verified, Err: late}, scheduler.Uncertain},
		"verified and lost":     {scheduler.Reply{Code: 1, Stdout: verified, Stderr: "error: commlib error: got read error (closing)"}, scheduler.Uncertain},
		"verified with an id":   {scheduler.Reply{Stdout: verified + "5\n"}, scheduler.Accepted},
		"no id":                 {scheduler.Reply{Stdout: "done\n"}, scheduler.Uncertain},
		"full":                  {scheduler.Reply{Code: fullStatus, Stderr: full}, scheduler.Full},
		"full, by the status":   {scheduler.Reply{Code: fullStatus, Stderr: other}, scheduler.Full},
		"full, by the text":     {scheduler.Reply{Code: 1, Stderr: full}, scheduler.Refused},
		"refused":               {scheduler.Reply{Code: 1, Stderr: other}, scheduler.Refused},
		"full, and not ended":   {scheduler.Reply{Code: fullStatus, Stderr: full, Err: late}, scheduler.Uncertain},
		"unreachable, with 25":  {scheduler.Reply{Code: fullStatus, Stderr: "error: commlib error: got select error (Connection refused)"}, scheduler.Unreachable},
		"an id, and the status": {scheduler.Reply{Code: fullStatus, Stdout: "5\n"}, scheduler.Uncertain},
	} {
		if got := (SGE{}).ParseSubmit(tt.reply); got.Outcome != tt.want {
			t.Errorf("%s: %+v, want %v", name, got, tt.want)
		}
	}
}

// TestOutputList: a list cannot contain a comma, and "$" begins a variable.
func TestOutputList(t *testing.T) {
	for path, want := range map[string]string{"/a/b": ":/a/b", "/a,b": ":/dev/null", "/$a": ":/$$a"} {
		if argv := (SGE{}).Submit(scheduler.Spec{Output: path}, nil).Argv; !slices.Contains(argv, want) {
			t.Errorf("%s: %q, want %s", path, argv, want)
		}
	}
}

func TestRecords(t *testing.T) {
	const record = "jobnumber    7\nhostname     ge1\nfailed       0\nexit_status  7\n"
	late := errors.New("killed")
	for name, tt := range map[string]struct {
		reply scheduler.Reply
		want  string
	}{
		"a record":               {scheduler.Reply{Stdout: record}, "done exited 7 on ge1"},
		"with a failure":         {scheduler.Reply{Stdout: record, Code: 1}, "unknown"},
		"not ended":              {scheduler.Reply{Stdout: record, Err: late}, "unknown"},
		"no status":              {scheduler.Reply{Stdout: "jobnumber 7\nfailed 0\n"}, "unknown"},
		"no cause":               {scheduler.Reply{Stdout: "jobnumber 7\nexit_status 0\n"}, "unknown"},
		"no such job":            {scheduler.Reply{Code: 1, Stderr: "error: job id 7 not found\n"}, "missing"},
		"no such job, by 0":      {scheduler.Reply{Stderr: "error: job id 7 not found\n"}, "unknown"},
		"no such job, not ended": {scheduler.Reply{Code: 1, Stderr: "error: job id 7 not found\n", Err: late}, "unknown"},
		"another error":          {scheduler.Reply{Code: 1, Stderr: "error: cannot read\n"}, "unknown"},
	} {
		if got := schedulertest.Describe(parseAccounting(tt.reply)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "x": 0, "1x": 0, "-1s": 0, "NaN": 0, "inf": 0, "1e999": 0, "2147483648": 0, "0.007s": 7 * time.Millisecond, "2": 2 * time.Second, "2147483647s": 2147483647 * time.Second,
	} {
		if got := parseSeconds(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestFindRejects: a job has a number and a name.
func TestFindRejects(t *testing.T) {
	job := func(number, name string) string {
		return "<job_list>\n<JB_job_number>" + number + "</JB_job_number>\n<JB_name>" + name + "</JB_name>\n<state>r</state>\nnoise\n</job_list>\n"
	}
	found, err := SGE{}.ParseFind(scheduler.Reply{Stdout: job("7", "a") + job("x", "b") + job("8", "") + job("", "c") + "</job_info>\n"})
	if err != nil || len(found) != 1 || found[0].ID != "7" || found[0].Name != "a" {
		t.Errorf("%+v, %v", found, err)
	}
}
