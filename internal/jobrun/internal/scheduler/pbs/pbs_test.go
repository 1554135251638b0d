package pbs

import (
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/schedulertest"
)

func jsonOf(attributes string) string {
	return `{"timestamp":1, "pbs_version":"23.06.06", "Jobs":{"64.pbs1":{"Job_Name":"ci-r-1",` + attributes + `}}}`
}

func TestJSON(t *testing.T) {
	for name, tt := range map[string]struct{ attributes, want string }{
		"queued":                {`"job_state":"Q"`, "pending queued"},
		"queued indefinitely":   {`"job_state":"Q","comment":"Can Never Run: Insufficient amount of resource: ncpus"`, "pending unsatisfiable"},
		"waiting for resources": {`"job_state":"Q","comment":"Not Running: Insufficient amount of resource: ncpus"`, "pending queued"},
		"held":                  {`"job_state":"H","comment":"Can Never Run: x"`, "pending held"},
		"a hook's comment":      {`"job_state":"Q","comment":"this queue Can Never Run on Friday after too many failed attempts"`, "pending queued"},
		"held after failures":   {`"job_state":"H","comment":"job held, too many failed attempts to run"`, "pending launch-failed"},
		"running":               {`"job_state":"R","exec_host":"n1/0*2+n1/1+n2/0"`, "running on n1,n2"},
		"suspended":             {`"job_state":"S","exec_host":"n1/0"`, "suspended on n1"},
		"suspended for a user":  {`"job_state":"U","exec_host":"n1/0"`, "suspended on n1"},
		"exiting":               {`"job_state":"E","exec_host":"n1/0"`, "completing on n1"},
		"stuck with its output": {`"job_state":"E","substate":51,"Exit_status":7`, "done exited 7"},
		"exit 7":                {`"job_state":"F","substate":93,"Exit_status":7`, "done exited 7"},
		"exit 0":                {`"job_state":"F","substate":92,"Exit_status":0`, "done exited 0"},
		"killed":                {`"job_state":"F","substate":93,"Exit_status":137`, "done exited 137"},
		"signal, older":         {`"job_state":"F","Exit_status":271`, "done exited 0 signal 15"},
		"walltime":              {`"job_state":"F","substate":93,"Exit_status":-29`, "done time"},
		"memory":                {`"job_state":"F","Exit_status":-27`, "done memory"},
		"deleted before it ran": {`"job_state":"F","substate":91`, "done cancelled"},
		"never started":         {`"job_state":"F","Exit_status":-1`, "done system-failure"},
		"a code of its own":     {`"job_state":"F","Exit_status":-99`, "done system-failure"},
		"no status":             {`"job_state":"F"`, "done system-failure"},
		"a new state":           {`"job_state":"Y"`, "unknown"},
		"no state":              {`"x":1`, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := schedulertest.Describe(parseJSON(scheduler.Reply{Stdout: jsonOf(tt.attributes)})); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestTranscripts parses the output of OpenPBS 23.06, with history on and off.
func TestTranscripts(t *testing.T) {
	for name, want := range map[string]string{
		"json-running": "running on pbs1", "text-running": "running on pbs1", "json-held": "pending held",
		"json-impossible": "pending unsatisfiable", "text-impossible": "pending unsatisfiable",
		"history-json-completed": "done exited 0 on pbs1", "history-json-failed": "done exited 7 on pbs1", "history-text-failed": "done exited 7 on pbs1",
		"history-json-signalled": "done exited 0 signal 15 on pbs1", "history-json-walltime": "done time on pbs1",
		"history-json-deleted": "done cancelled on pbs1", "history-json-held-deleted": "done cancelled",
		"json-over": "missing", "text-over": "missing", "json-unknown": "missing",
		"json-over-off": "missing", "text-over-off": "missing", "history-json-failed-off": "missing", "history-text-failed-off": "missing",
	} {
		parse := parseText
		if strings.Contains(name, "json") {
			parse = parseJSON
		}
		if got := schedulertest.Describe(parse(recorded(t, name))); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]scheduler.Outcome{
		"qsub-plain": scheduler.Accepted, "qsub-bad-option": scheduler.Refused, "qsub-bad-queue": scheduler.Refused,
		"qsub-missing-script": scheduler.Refused, "qsub-array": scheduler.Refused,
	} {
		if got := (PBS{}).ParseSubmit(recorded(t, name)); got.Outcome != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, want := range map[string]int{"select-name": 2, "select-none": 0} {
		if found, err := (PBS{}).ParseFind(recorded(t, name)); err != nil || len(found) != want {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

// A job of which PBS has no record is missing in every query.
func TestNoRecord(t *testing.T) {
	replies := []string{"json-over-off", "text-over-off", "history-json-failed-off", "history-text-failed-off"}
	got := scheduler.Resolve(PBS{}.Queries("1", false), func(scheduler.Command) scheduler.Reply {
		r := recorded(t, replies[0])
		replies = replies[1:]
		return r
	})
	if schedulertest.Describe(got) != "missing" {
		t.Errorf("%+v", got)
	}
}

func recorded(t *testing.T, name string) scheduler.Reply {
	t.Helper()
	_, r, err := schedulertest.ReadCall(filepath.Join("testdata/23.06", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestNoJob parses output without a job. With history off, a query for the history prints
// to stderr and returns 0.
func TestNoJob(t *testing.T) {
	for name, tt := range map[string]struct {
		reply scheduler.Reply
		want  string
	}{
		"history off":          {scheduler.Reply{Code: 153, Stderr: "qstat: Unknown Job Id 64.pbs1\n"}, "missing"},
		"history on":           {scheduler.Reply{Code: 35, Stderr: "qstat: 64.pbs1 Job has finished, use -x or -H to obtain historical job information\n"}, "missing"},
		"history queried, off": {scheduler.Reply{Stderr: "qstat: PBS is not configured to maintain job history\n"}, "missing"},
		"server down":          {scheduler.Reply{Code: 255, Stderr: "Connection refused\nqstat: cannot connect to server pbs1 (errno=15010)\n"}, "unknown"},
		"truncated":            {scheduler.Reply{Stdout: jsonOf(`"job_state":"F"`)[:60]}, "unknown"},
		"nothing":              {scheduler.Reply{}, "unknown"},
		"two jobs":             {scheduler.Reply{Stdout: `{"Jobs":{"1.s":{"job_state":"R"},"2.s":{"job_state":"F"}}}`}, "unknown"},
		"a job and an error":   {scheduler.Reply{Code: 1, Stdout: jsonOf(`"job_state":"F"`)}, "unknown"},
	} {
		if got := schedulertest.Describe(parseJSON(tt.reply)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// A queued job must not be taken for finished where qstat does not support JSON.
func TestWithoutJSON(t *testing.T) {
	ladder := PBS{}.Queries("64.pbs1", false)
	text := "Job Id: 64.pbs1\n    Job_Name = ci-r-1\n    job_state = Q\n    comment = Not Running: Insufficient amount of resource: ncpus (R: 4 A: 2\n\t T: 2)\n    Variable_List = PBS_O_HOME=/home/a,PBS_O_PA\n\tTH=/usr/bin,X=job_state = F\n\n"
	ask := func(c scheduler.Command) scheduler.Reply {
		for _, w := range c.Argv {
			if w == "-F" {
				return scheduler.Reply{Code: 2, Stderr: "qstat: invalid option -- 'F'\nusage: qstat [-f] [id]\n"}
			}
		}
		return scheduler.Reply{Stdout: text}
	}
	s := scheduler.Resolve(ladder, ask)
	if got := schedulertest.Describe(s); got != "pending queued" {
		t.Errorf("%s, want pending", got)
	}
	gone := scheduler.Resolve(ladder, func(c scheduler.Command) scheduler.Reply {
		if r := ask(c); r.Code != 0 {
			return r
		}
		return scheduler.Reply{Code: 153, Stderr: "qstat: Unknown Job Id 64.pbs1\n"}
	})
	if got := schedulertest.Describe(gone); got != "missing" {
		t.Errorf("a job that is gone is %s, want missing", got)
	}
}

func TestText(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"wrapped":  {"Job Id: 64.pbs1\n    job_state = R\n    exec_host = verylongnodename1/0+verylo\n\tngnodename2/0\n", "running on verylongnodename1,verylongnodename2"},
		"Torque":   {"Job Id: 64.s\n    job_state = C\n    exit_status = 7\n", "done exited 7"},
		"walltime": {"Job Id: 64.pbs1\n    job_state = F\n    Exit_status = -29\n    substate = 93\n", "done time"},
		"two jobs": {"Job Id: 64.s\n    job_state = C\nJob Id: 65.s\n    job_state = R\n", "unknown"},
		"no job":   {"Hello\n    job_state = R\n", "unknown"},
	} {
		if got := schedulertest.Describe(parseText(scheduler.Reply{Stdout: tt.text})); got != tt.want {
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
		"id":          {scheduler.Reply{Stdout: "0.pbs1\n"}, scheduler.Accepted, "0.pbs1"},
		"no server":   {scheduler.Reply{Stdout: "123\n"}, scheduler.Accepted, "123"},
		"banner":      {scheduler.Reply{Stdout: "Welcome\n12.pbs1\n"}, scheduler.Accepted, "12.pbs1"},
		"array":       {scheduler.Reply{Stdout: "11[].pbs1\n"}, scheduler.Uncertain, ""},
		"bad queue":   {scheduler.Reply{Code: 170, Stderr: "qsub: Unknown queue\n"}, scheduler.Refused, ""},
		"bad option":  {scheduler.Reply{Code: 2, Stderr: "qsub: invalid option -- 'Q'\nusage: qsub ...\n"}, scheduler.Refused, ""},
		"server down": {scheduler.Reply{Code: 162, Stderr: "Connection refused\nqsub: cannot connect to server pbs1 (errno=15010)\n"}, scheduler.Unreachable, ""},
		"cut off":     {scheduler.Reply{Code: 1, Stderr: "qsub: End of File\n"}, scheduler.Uncertain, ""},
		"two ids":     {scheduler.Reply{Stdout: "1.s\n2.s\n"}, scheduler.Uncertain, ""},
	} {
		if got := (PBS{}).ParseSubmit(tt.reply); got.Outcome != tt.outcome || got.ID != tt.id {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestFind(t *testing.T) {
	found, err := PBS{}.ParseFind(scheduler.Reply{Stdout: "12.pbs1\n13.pbs1\n"})
	if err != nil || len(found) != 2 || found[0].ID != "12.pbs1" {
		t.Errorf("%v, %v", found, err)
	}
	if _, err := (PBS{}).ParseFind(scheduler.Reply{Code: 162, Stderr: "qselect: cannot connect"}); err == nil {
		t.Error("a server that is down has no jobs")
	}
}
