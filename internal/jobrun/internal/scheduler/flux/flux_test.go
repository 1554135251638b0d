package flux

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/schedulertest"
)

// TestTranscripts parses the output of flux-core 0.88.
func TestTranscripts(t *testing.T) {
	for name, want := range map[string]string{
		"jobs-completed": "done exited 0 on n1", "jobs-failed": "done exited 3 on n1", "jobs-running": "running on n1",
		"jobs-terminated": "done exited 129 on n1", "jobs-cancelled": "done cancelled on n1", "jobs-timeout": "done time on n1",
		"jobs-held": "pending held", "jobs-dependency": "pending queued", "jobs-impossible": "done exited unsatisfiable",
		"jobs-unknown": "missing", "jobs-away": "unknown",
	} {
		if got := schedulertest.Describe(parseJob(recorded(t, name))); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]scheduler.Outcome{
		"batch-plain": scheduler.Accepted, "batch-letter": scheduler.Accepted, "batch-away": scheduler.Unreachable,
		"batch-bad-option": scheduler.Refused, "batch-bad-queue": scheduler.Refused, "batch-no-size": scheduler.Refused, "batch-missing-script": scheduler.Refused,
	} {
		if got := (Flux{}).ParseSubmit(recorded(t, name)); got.Outcome != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, want := range map[string]int{"list-name": 1, "list-none": 0} {
		if found, err := (Flux{}).ParseFind(recorded(t, name)); err != nil || len(found) != want {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	if _, err := (Flux{}).ParseFind(recorded(t, "jobs-away")); err == nil {
		t.Error("a Flux that is away has no jobs")
	}
}

func recorded(t *testing.T, name string) scheduler.Reply {
	t.Helper()
	_, r, err := schedulertest.ReadCall(filepath.Join("testdata/0.88", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRows(t *testing.T) {
	for name, tt := range map[string]struct{ row, want string }{
		"depends":       {"fK|n|DEPEND|||| 16|||||\n", "pending queued"},
		"in the queue":  {"fK|n|SCHED||||16|||||\n", "pending queued"},
		"held":          {"fK|n|PRIORITY||||0|||||\n", "pending held"},
		"running":       {"fK|n|RUN||||16|1700000000.5||n[1-2]||\n", "running on n[1-2]"},
		"cleanup":       {"fK|n|CLEANUP||||16|||n1||\n", "completing on n1"},
		"completed":     {"fK|n|INACTIVE|COMPLETED|0||16|||n1||\n", "done exited 0 on n1"},
		"failed":        {"fK|n|INACTIVE|FAILED|3||16|||n1||\n", "done exited 3 on n1"},
		"cancelled":     {"fK|n|INACTIVE|CANCELED|143|cancel|16|||n1||\n", "done cancelled on n1"},
		"time limit":    {"fK|n|INACTIVE|TIMEOUT|142|timeout|16|||n1||resource allocation expired\n", "done time on n1"},
		"unsatisfiable": {"fK|n|INACTIVE|FAILED||alloc|16|||||unsatisfiable request\n", "done exited unsatisfiable"},
		"node lost":     {"fK|n|INACTIVE|FAILED|1|exec|16|||n1||lost contact with job shell | x\n", "done system-failure on n1"},
		"a bar":         {"fK|n|INACTIVE|FAILED|3||16|||n1||a | b\n", "done exited 3 on n1"},
		"a new state":   {"fK|n|SLEEP||||16|||||\n", "unknown"},
		"a new result":  {"fK|n|INACTIVE|SHRUGGED|0||16|||||\n", "unknown"},
		"no result":     {"fK|n|INACTIVE|||| 16|||||\n", "unknown"},
		"two rows":      {"fK|n|RUN||||16|||||\nfL|n|RUN||||16|||||\n", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := schedulertest.Describe(parseJob(scheduler.Reply{Stdout: tt.row})); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestNoJob(t *testing.T) {
	for text, want := range map[string]string{
		"flux-jobs: ERROR: JobID 1234 unknown\n":                                 "missing",
		"flux-job: No such job\n":                                                "missing",
		"flux-jobs: ERROR: broker socket /run/flux/local was not found\n":        "unknown",
		"flux-jobs: ERROR: flux_open: broker socket /run/flux/local refused us ": "unknown",
	} {
		if got := schedulertest.Describe(parseJob(scheduler.Reply{Code: 1, Stderr: text})); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// Both forms of an id are parsed to the ASCII form.
func TestSubmitReplies(t *testing.T) {
	for name, tt := range map[string]struct {
		reply   scheduler.Reply
		outcome scheduler.Outcome
		id      scheduler.ID
	}{
		"letter":        {scheduler.Reply{Stdout: "ƒKcHzA3\n"}, scheduler.Accepted, "fKcHzA3"},
		"ASCII":         {scheduler.Reply{Stdout: "fKcHzA3\n"}, scheduler.Accepted, "fKcHzA3"},
		"no such digit": {scheduler.Reply{Stdout: "fKcHz0lIO\n"}, scheduler.Uncertain, ""},
		"away":          {scheduler.Reply{Code: 1, Stderr: "flux-batch: ERROR: broker socket /run/flux/local was not found\n"}, scheduler.Unreachable, ""},
		"size":          {scheduler.Reply{Code: 1, Stderr: "flux-batch: ERROR: Number of slots to allocate must be specified\n"}, scheduler.Refused, ""},
		"bad option":    {scheduler.Reply{Code: 2, Stderr: "flux-batch: error: unrecognized arguments: --nonsense\n"}, scheduler.Refused, ""},
		"lost":          {scheduler.Reply{Code: 1, Stderr: "flux-batch: ERROR: [Errno 104] Connection reset by peer\n"}, scheduler.Uncertain, ""},
	} {
		if got := (Flux{}).ParseSubmit(tt.reply); got.Outcome != tt.outcome || got.ID != tt.id {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// flux batch requires a size; the job's own is kept.
func TestDefaultSize(t *testing.T) {
	for args, added := range map[string]bool{"": true, "-t 5": true, "-N2": false, "--nodes=2": false, "-n 4": false, "--nslots 4": false} {
		argv := Flux{}.Submit(scheduler.Spec{Name: "n", Script: "s"}, strings.Fields(args)).Argv
		if slices.Contains(argv, "--nslots=1") != added {
			t.Errorf("%q: %q", args, argv)
		}
	}
}

func TestFind(t *testing.T) {
	found, err := Flux{}.ParseFind(scheduler.Reply{Stdout: "ƒK|ci-1|RUN||||16|||n1||\nnoise\nfL|ci-1|INACTIVE|FAILED|3||16|||||\n"})
	if err != nil || len(found) != 2 || found[0].ID != "fK" || found[1].Name != "ci-1" {
		t.Errorf("%+v %v", found, err)
	}
}
