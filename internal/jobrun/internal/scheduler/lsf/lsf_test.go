package lsf

import (
	"testing"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/schedulertest"
)

func jsonOf(record string) string {
	return `{"COMMAND":"bjobs","JOBS":1,"RECORDS":[{"JOBID":"12","JOB_NAME":"ci-r-1",` + record + `}]}`
}

func TestJSON(t *testing.T) {
	for name, tt := range map[string]struct{ record, want string }{
		"pending":          {`"STAT":"PEND","PEND_REASON":"New job is waiting for scheduling;"`, "pending queued"},
		"dependency":       {`"STAT":"PEND","PEND_REASON":"Dependency condition invalid or never satisfied;"`, "pending unsatisfiable"},
		"not yet":          {`"STAT":"PEND","PEND_REASON":"Job dependency condition not satisfied;"`, "pending queued"},
		"held by an admin": {`"STAT":"PEND","PEND_REASON":"Job was suspended by LSF admin or root while pending;"`, "pending held"},
		"held":             {`"STAT":"PSUSP","PEND_REASON":"Not enough slots"`, "pending held"},
		"held, by reason":  {`"STAT":"PEND","PEND_REASON":"Job was suspended by the user while pending;"`, "pending held"},
		"running":          {`"STAT":"RUN","EXEC_HOST":"n1:n2"`, "running on n1,n2"},
		"suspended":        {`"STAT":"USUSP","EXEC_HOST":"n1"`, "suspended on n1"},
		"so by LSF":        {`"STAT":"SSUSP","EXEC_HOST":"n1"`, "suspended on n1"},
		"many slots":       {`"STAT":"RUN","EXEC_HOST":"9*n1:8*n2"`, "running on 9*n1,8*n2"},
		"done":             {`"STAT":"DONE","EXEC_HOST":"n1"`, "done exited 0 on n1"},
		"exit 7":           {`"STAT":"EXIT","EXIT_CODE":"7"`, "done exited 7"},
		"exit, no code":    {`"STAT":"EXIT","EXIT_CODE":""`, "done exited"},
		"time limit":       {`"STAT":"EXIT","EXIT_CODE":"140","EXIT_REASON":"TERM_RUNLIMIT: job killed after reaching LSF run time limit"`, "done time"},
		"memory":           {`"STAT":"EXIT","EXIT_REASON":"TERM_MEMLIMIT: job killed after reaching LSF memory usage limit"`, "done memory"},
		"processes":        {`"STAT":"EXIT","EXIT_CODE":"130","EXIT_REASON":"TERM_PROCESSLIMIT: job killed after reaching LSF process limit"`, "done exited 130"},
		"killed by owner":  {`"STAT":"EXIT","EXIT_CODE":"130","EXIT_REASON":"TERM_OWNER: job killed by owner"`, "done cancelled"},
		"node lost":        {`"STAT":"ZOMBI"`, "done system-failure"},
		"out of sight":     {`"STAT":"UNKWN"`, "unknown"},
		"a reason of ours": {`"STAT":"EXIT","EXIT_CODE":"9","EXIT_REASON":"something: new"`, "done exited 9"},
		"not found":        {`"ERROR":"Job <12> is not found"`, "missing"},
		"another error":    {`"ERROR":"Batch daemon is busy"`, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := schedulertest.Describe(parseJob(scheduler.Reply{Stdout: jsonOf(tt.record)})); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// LSF makes its callers wait, and prints messages about that around the reply.
func TestWaitMessages(t *testing.T) {
	const wait = "Cannot connect to LSF. Please wait ...\n"
	if got := schedulertest.Describe(parseJob(scheduler.Reply{Stdout: wait + jsonOf(`"STAT":"DONE"`) + "\n" + wait})); got != "done exited 0" {
		t.Error(got)
	}
	if got := (LSF{}).ParseSubmit(scheduler.Reply{Stdout: wait + "Job <12> is submitted to queue <ci>.\n"}); got.Outcome != scheduler.Accepted {
		t.Errorf("%+v", got)
	}
}

// bhist breaks its lines at 80 columns, within words.
const history = `
Job <12>, Job Name <ci-r-1>, User <alice>, Project <default>, Command </home/alice/
                     jobs/job>
Fri Nov 20 18:00:00: Submitted from host <login1>, to Queue <normal>, CWD <$HOME>;
Fri Nov 20 18:00:01: Dispatched 1 Task(s) on Host(s) <n1>;
Fri Nov 20 18:00:01: Starting (Pid 4711);
`

func TestHistory(t *testing.T) {
	for name, tt := range map[string]struct{ more, want string }{
		"running":           {"", "running"},
		"exit 7":            {"Fri Nov 20 18:00:09: Exited with exit code 7. The CPU time used is 0.1 seconds;\nFri Nov 20 18:00:09: Completed <exit>.\n", "done exited 7"},
		"done":              {"Fri Nov 20 18:00:09: Done successfully. The CPU time used is 0.1 seconds;\n", "done exited 0"},
		"signal":            {"Fri Nov 20 18:00:09: Exited by signal 9. The CPU time used is 0.1 seconds;\nFri Nov 20 18:00:09: Completed <exit>.\n", "done exited 137"},
		"a signal of LSF's": {"Fri Nov 20 18:00:09: Exited by LSF signal 9. The CPU time used is 0.1 seconds;\nFri Nov 20 18:00:09: Completed <exit>;\n", "done exited 137"},
		"memory": {"Fri Nov 20 18:01:01: Exited with exit code 1. The CPU time used is 31911.0 seco\n                     nds;\n\n" +
			"Fri Nov 20 18:01:01: Completed <exit>; TERM_MEMLIMIT: job killed after reaching\n                      LSF memory usage limit;\n\n\n MEMLIMIT\n     48 G \n", "done memory"},
		"queued again": {"Fri Nov 20 18:00:09: Exited; job will be requeued and rerun;\n", "running"},
		"forwarded":    {"Fri Nov 20 18:00:02: Job <12> forwarded to cluster <far>;\n", "running"},
		"limit": {"Fri Nov 20 18:01:01: Exited with exit code 140. The CPU time used is 0.1 seconds;\n" +
			"Fri Nov 20 18:01:01: Completed <exit>; TERM_RUNL\n                     IMIT: job killed after reaching LSF run time limit;\n", "done time"},
	} {
		if got := schedulertest.Describe(parseHistory(scheduler.Reply{Stdout: history + tt.more})); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	for name, tt := range map[string]struct {
		reply scheduler.Reply
		want  string
	}{
		"unknown id": {scheduler.Reply{Code: 255, Stderr: "No matching job found\n"}, "missing"},
		"down":       {scheduler.Reply{Code: 255, Stderr: "LSF is down. Please wait ...\n"}, "unknown"},
		"two jobs":   {scheduler.Reply{Stdout: history + history}, "unknown"},
		"noise":      {scheduler.Reply{Stdout: "Completed <exit>\n"}, "unknown"},
	} {
		if got := schedulertest.Describe(parseHistory(tt.reply)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// The state of a job comes from bhist where bjobs does not support JSON.
func TestWithoutJSON(t *testing.T) {
	got := scheduler.Resolve(LSF{}.Queries("12", false), func(c scheduler.Command) scheduler.Reply {
		if c.Argv[0] == "bjobs" {
			return scheduler.Reply{Code: 255, Stderr: "bjobs: illegal option -- json\nUsage: bjobs ...\n"}
		}
		return scheduler.Reply{Stdout: history}
	})
	if schedulertest.Describe(got) != "running" {
		t.Errorf("%+v", got)
	}
}

func TestSubmitReplies(t *testing.T) {
	for name, tt := range map[string]struct {
		reply   scheduler.Reply
		outcome scheduler.Outcome
		id      scheduler.ID
	}{
		"named queue":   {scheduler.Reply{Stdout: "Job <12> is submitted to queue <ci>.\n"}, scheduler.Accepted, "12"},
		"default queue": {scheduler.Reply{Stdout: "Hello\nJob <12> is submitted to default queue <normal>.\n"}, scheduler.Accepted, "12"},
		"bad queue":     {scheduler.Reply{Code: 255, Stderr: "nowhere: No such queue. Job not submitted.\n"}, scheduler.Refused, ""},
		"impossible":    {scheduler.Reply{Code: 255, Stderr: "Too many processors requested. Job not submitted.\n"}, scheduler.Refused, ""},
		"down":          {scheduler.Reply{Code: 255, Stderr: "LSF is down. Please wait ...\n"}, scheduler.Unreachable, ""},
		"foreign host":  {scheduler.Reply{Code: 255, Stderr: "Request from non-LSF host rejected\n"}, scheduler.Unreachable, ""},
		"silent":        {scheduler.Reply{Code: 255, Stderr: "batch system daemon not responding ... still trying\n"}, scheduler.Uncertain, ""},
	} {
		if got := (LSF{}).ParseSubmit(tt.reply); got.Outcome != tt.outcome || got.ID != tt.id {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestFind(t *testing.T) {
	found, err := LSF{}.ParseFind(scheduler.Reply{Stdout: jsonOf(`"STAT":"RUN"`)})
	if err != nil || len(found) != 1 || found[0].ID != "12" || found[0].Name != "ci-r-1" {
		t.Errorf("%+v %v", found, err)
	}
	// Without jobs bjobs returns 255, or 0 as the site has set it.
	for _, r := range []scheduler.Reply{{Code: 255, Stderr: "Job <ci-r-1> is not found\n"}, {Stderr: "No unfinished job found\n"}, {Stdout: "No job found\n"}} {
		if found, err = (LSF{}).ParseFind(r); err != nil || len(found) != 0 {
			t.Errorf("%+v %v, want none", found, err)
		}
	}
	if _, err := (LSF{}).ParseFind(scheduler.Reply{Code: 255, Stderr: "LSF is down. Please wait ...\n"}); err == nil {
		t.Error("a system that is down has no jobs")
	}
}
