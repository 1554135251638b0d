package cobalt

import (
	"testing"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/schedulertest"
)

// head is the header that print_tabular of Cobalt prints.
const head = "JobID  JobName  State    Location  \n====================================\n"

func TestTable(t *testing.T) {
	for name, tt := range map[string]struct {
		reply scheduler.Reply
		want  string
	}{
		"queued":        {scheduler.Reply{Stdout: head + "12      ci-r-1    queued      None\n"}, "pending queued"},
		"held":          {scheduler.Reply{Stdout: head + "12      ci-r-1    user_hold   None\n"}, "pending held"},
		"unsatisfiable": {scheduler.Reply{Stdout: head + "12      ci-r-1    dep_fail    None\n"}, "pending unsatisfiable"},
		"running":       {scheduler.Reply{Stdout: head + "12      ci-r-1    running     nid00012\n"}, "running on nid00012"},
		"preempted":     {scheduler.Reply{Stdout: head + "12      ci-r-1    preempted   nid00012\n"}, "suspended on nid00012"},
		"being killed":  {scheduler.Reply{Stdout: head + "12      ci-r-1    killing     nid00012\n"}, "completing on nid00012"},
		"a new state":   {scheduler.Reply{Stdout: head + "12      ci-r-1    dreaming    None\n"}, "unknown"},
		"another job":   {scheduler.Reply{Stdout: head + "13      ci-r-1    running     None\n"}, "unknown"},
		"gone":          {scheduler.Reply{Code: 1}, "missing"},
		"no rows":       {scheduler.Reply{Stdout: head}, "missing"},
		"no table":      {scheduler.Reply{Stdout: "12 ci-r-1 running None\n"}, "unknown"},
		"other header":  {scheduler.Reply{Stdout: "JobID User\n===\n12 alice\n"}, "unknown"},
		"ended":         {scheduler.Reply{Stdout: head + "   12  ci-r-1   done     nid00012  \n"}, "completing on nid00012"},
		"no output":     {scheduler.Reply{}, "unknown"},
		"down":          {scheduler.Reply{Code: 1, Stderr: "component error: Failed to connect to queue-manager: client_utils.py:L#181:cn:queue-manager\n\n"}, "unknown"},
	} {
		if got := schedulertest.Describe(parseJob(tt.reply, "12")); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestSubmitReplies(t *testing.T) {
	for name, tt := range map[string]struct {
		reply   scheduler.Reply
		outcome scheduler.Outcome
		id      scheduler.ID
	}{
		"id":     {scheduler.Reply{Stdout: "12\n"}, scheduler.Accepted, "12"},
		"banner": {scheduler.Reply{Stdout: "Memory mode set to flat\n12\n"}, scheduler.Accepted, "12"},
		"text":   {scheduler.Reply{Stdout: "12 your project has 3 hours left\n"}, scheduler.Accepted, "12"},
		"queue":  {scheduler.Reply{Code: 1, Stderr: "<Fault 1001: \"trying to add job to non-existent queue 'nowhere'\">\n"}, scheduler.Refused, ""},
		"nodes":  {scheduler.Reply{Code: 1, Stderr: "node count out of realistic range\n"}, scheduler.Refused, ""},
		"option": {scheduler.Reply{Code: 2, Stderr: "qsub.py: error: no such option: --nonsense\n"}, scheduler.Refused, ""},
		"away":   {scheduler.Reply{Code: 1, Stderr: "component error: Failed to connect to system: client_utils.py:L#181:cn:system\n\n"}, scheduler.Unreachable, ""},
		"failed": {scheduler.Reply{Stderr: "failed to create the job.  Maybe a queue isn't there?\n"}, scheduler.Uncertain, ""},
		"silent": {scheduler.Reply{Code: 1, Stderr: "[Errno 110] Connection timed out\n"}, scheduler.Uncertain, ""},
	} {
		if got := (Cobalt{}).ParseSubmit(tt.reply); got.Outcome != tt.outcome || got.ID != tt.id {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestFind(t *testing.T) {
	found, err := Cobalt{}.ParseFind(scheduler.Reply{Stdout: head + "12 ci-r-1 running n1\n-1 x running n1\n13 y queued None\n"})
	if err != nil || len(found) != 2 || found[0].ID != "12" || found[1].Name != "y" {
		t.Errorf("%+v %v", found, err)
	}
	if _, err := (Cobalt{}).ParseFind(scheduler.Reply{Code: 1, Stderr: "Failed to connect"}); err == nil {
		t.Error("a queue manager that is away has no jobs")
	}
}
