package sge

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/schedulertest"
)

func recorded(t *testing.T, name string) scheduler.Reply {
	t.Helper()
	_, r, err := schedulertest.ReadCall(filepath.Join("testdata/8.1.9", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A job that is not in the list, which a user can filter, is missing only where there is no
// such job.
func TestUnlistedJob(t *testing.T) {
	empty := recorded(t, "qstat-empty")
	for name, want := range map[string]string{"qstat-job-known": "running", "qstat-job-filtered": "running", "qstat-job-unknown": "missing"} {
		got := scheduler.Resolve(SGE{}.Queries("1", false), func(c scheduler.Command) scheduler.Reply {
			switch strings.Join(c.Argv, " ") {
			case "qstat -xml -u $user -s a":
				return empty
			case "qstat -j 1":
				return recorded(t, name)
			}
			return recorded(t, "qacct-unknown")
		})
		if schedulertest.Describe(got) != want {
			t.Errorf("%s: %+v, want %s", name, got, want)
		}
	}
}

func TestQueueTranscripts(t *testing.T) {
	list := recorded(t, "qstat-list")
	for id, want := range map[scheduler.ID]string{"3": "running on ge1", "10": "pending launch-failed", "4": "pending held", "8": "pending launch-failed", "33": "missing", "0": "missing"} {
		s := parseQueue(list, id)
		if got := schedulertest.Describe(s); got != want {
			t.Errorf("job %s: %s, want %s", id, got, want)
		}
		if id == "3" && s.Start.IsZero() {
			t.Error("no start")
		}
	}
	if got := schedulertest.Describe(parseQueue(recorded(t, "qstat-empty"), "3")); got != "missing" {
		t.Errorf("an empty queue: %s", got)
	}
	cut := list
	cut.Stdout = cut.Stdout[:len(cut.Stdout)-30]
	if got := schedulertest.Describe(parseQueue(cut, "33")); got != "unknown" {
		t.Errorf("half a list: %s", got)
	}
	down := scheduler.Reply{Code: 1, Stderr: "error: commlib error: got select error (Connection refused)\n"}
	if got := schedulertest.Describe(parseQueue(down, "3")); got != "unknown" {
		t.Errorf("qmaster down: %s", got)
	}
}

func TestAccountingTranscripts(t *testing.T) {
	for name, want := range map[string]string{
		"qacct-failed": "done exited 7 on ge1", "qacct-timeout": "done time on ge1", "qacct-deleted": "done cancelled on ge1",
		"qacct-killed": "done cancelled on ge1", "qacct-unknown": "missing",
	} {
		if got := schedulertest.Describe(parseAccounting(recorded(t, name))); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	twice := recorded(t, "qacct-failed")
	twice.Stdout += twice.Stdout
	if got := schedulertest.Describe(parseAccounting(twice)); got != "unknown" {
		t.Errorf("two records: %s", got)
	}
}

func TestSubmitTranscripts(t *testing.T) {
	for name, want := range map[string]scheduler.Submission{
		"qsub-terse":      {Outcome: scheduler.Accepted, ID: "1"},
		"qsub-plain":      {Outcome: scheduler.Accepted, ID: "2"},
		"qsub-array":      {Outcome: scheduler.Uncertain},
		"qsub-impossible": {Outcome: scheduler.Refused, Message: scheduler.Message{Lead: "no suitable queues"}},
		"qsub-bad-queue":  {Outcome: scheduler.Refused, Message: scheduler.Message{Lead: "unknown queue"}},
		"qsub-bad-option": {Outcome: scheduler.Refused, Message: scheduler.Message{Lead: "-nonsense"}},
		"qsub-bad-value":  {Outcome: scheduler.Refused, Message: scheduler.Message{Lead: "nosuch"}},
	} {
		got := SGE{}.ParseSubmit(recorded(t, name))
		if got.Outcome != want.Outcome || got.ID != want.ID || !strings.Contains(got.Message.Text(), want.Message.Lead) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for text, want := range map[string]scheduler.Outcome{
		"Unable to run job: unable to send message to qmaster using port 6444 on host \"ge1\": got send error": scheduler.Uncertain,
		"error: commlib error: got select error (Connection refused)":                                          scheduler.Unreachable,
		"error: SGE_ROOT directory \"/nowhere\" doesn't exist":                                                 scheduler.Unreachable,
	} {
		if got := (SGE{}).ParseSubmit(scheduler.Reply{Code: 1, Stderr: text}); got.Outcome != want {
			t.Errorf("%s: %v", text, got.Outcome)
		}
	}
}

// A state can have several letters; precedence decides.
func TestLetters(t *testing.T) {
	for letters, want := range map[string]string{
		"r": "running", "qw": "pending queued", "hqw": "pending held", "Eqw": "pending launch-failed", "dr": "completing", "t": "running",
		"s": "suspended", "dt": "completing", "Rr": "running", "Rq": "unknown", "hRwq": "pending held", "x": "unknown", "": "unknown", "rx": "unknown",
		"hr": "running", "ht": "running", "hs": "suspended", "hT": "suspended", "Rs": "suspended", "ts": "suspended", "S": "suspended", "Ehqw": "pending launch-failed", "dhr": "completing",
	} {
		if got := schedulertest.Describe(queuedJob{"state": letters}.state()); got != want {
			t.Errorf("%q: %s, want %s", letters, got, want)
		}
	}
}

func TestFindAndUsage(t *testing.T) {
	found, err := SGE{}.ParseFind(recorded(t, "qstat-list"))
	if err != nil || len(found) != 5 || found[0].ID != "3" || found[0].Name != "ci-a-3" {
		t.Errorf("%+v, %v", found, err)
	}
	u := SGE{}.ParseUsage(recorded(t, "qacct-failed"))
	if u.CPU != 7*time.Millisecond || u.CPUs != 1 || u.Nodes != "ge1" {
		t.Errorf("%+v", u)
	}
}
