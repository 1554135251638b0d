package journal

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestResult: a job failed where its first deciding stage did, and figures add up.
func TestResult(t *testing.T) {
	start := time.UnixMilli(1_700_000_000_250)
	granted := At(start, Granted, Context{Rule: "default", Executor: "slurm"})
	end := func(stage, exit string, code int) Event {
		return At(start, StageEnd, Context{Stage: stage, Exit: exit, Code: code, Reason: exit + " in " + stage, CPU: 1, Peak: 10})
	}
	batch := func(c Context) Event { c.System, c.BatchID = "Slurm", "7"; return At(start, Batch, c) }
	for name, tc := range map[string]struct {
		events []Event
		want   Result
	}{
		"nothing": {nil, Result{}},
		"success": {
			[]Event{granted, end("config", "ok", 0), end("build_script", "ok", 0), end("cleanup", "ok", 0)},
			Result{Began: start, Rule: "default", Executor: "slurm", Exit: "ok", Stages: 3, CPU: 3, Peak: 10},
		},
		"the first failure": {
			[]Event{granted, end("config", "ok", 0), end("build_script", "build", 7), end("after_script", "build", 1), end("cleanup", "system", 0)},
			Result{Began: start, Rule: "default", Executor: "slurm", Exit: "build", Stage: "build_script", Code: 7, Reason: "build in build_script", Stages: 4, CPU: 4, Peak: 10},
		},
		"only after_script and cleanup": {
			[]Event{end("after_script", "build", 1), end("cleanup_file_variables", "build", 1), end("cleanup", "system", 0)},
			Result{Exit: "ok", Stages: 3, CPU: 3, Peak: 10},
		},
		"a batch job": {
			[]Event{batch(Context{Phase: "pending"}), batch(Context{Phase: "running", Node: "n1", Seconds: 2.5}), batch(Context{Phase: "ended", CPU: 5, Peak: 99}), end("build_script", "ok", 0)},
			Result{Exit: "ok", Stages: 1, System: "Slurm", BatchID: "7", Node: "n1", Waited: 2.5, CPU: 6, Peak: 99},
		},
		"a second attempt": {
			[]Event{granted, end("config", "system", 0), granted, end("config", "ok", 0)},
			Result{Began: start, Rule: "default", Executor: "slurm", Exit: "system", Stage: "config", Reason: "system in config", Stages: 2, CPU: 2, Peak: 10},
		},
	} {
		if diff := cmp.Diff(tc.want, ResultOf(tc.events)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMayRun(t *testing.T) {
	for name, tt := range map[string]struct {
		events []Name
		want   bool
	}{
		"each has ended":          {[]Name{Granted, Stage, Settled, StageEnd, Stage, Batch, StageEnd, Stage}, false},
		"a script was killed":     {[]Name{Granted, Stage, StageEnd, Stage, Disk, Stage}, true},
		"one of several":          {[]Name{Stage, Stage, StageEnd, Stage}, true},
		"nothing else happened":   {[]Name{Stage, StageEnd, Stage, StageEnd}, false},
		"no events":               {nil, false},
		"the file was full":       {[]Name{Stage, StageEnd, Truncated}, true},
		"a cleanup that is over":  {[]Name{Stage, StageEnd, Ended}, false},
		"the end of another file": {[]Name{StageEnd, Stage}, false},
	} {
		var events []Event
		for _, n := range tt.events {
			events = append(events, Event{Name: n})
		}
		if got := MayRun(events); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	left := []Event{{Name: Stage}, {Name: StageEnd, Context: Context{Left: true}}, {Name: Stage}, {Name: StageEnd}, {Name: Stage}}
	if !MayRun(left) {
		t.Error("a stage that left processes does not count")
	}
}
