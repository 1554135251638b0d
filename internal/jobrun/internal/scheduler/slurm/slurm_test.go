package slurm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/schedulertest"
)

// transcript reads one recorded call of a real Slurm.
func transcript(t testing.TB, path string) (argv []string, r scheduler.Reply) {
	t.Helper()
	argv, r, err := schedulertest.ReadCall(path)
	if err != nil {
		t.Fatal(err)
	}
	return argv, r
}

func transcripts(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*/" + pattern + ".txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts %s: %v", pattern, err)
	}
	return files
}

// describe formats a state in one line for the table below.
func describe(s scheduler.State) string {
	if s.Phase == scheduler.Unknown {
		return map[bool]string{true: "missing", false: "unknown"}[s.Missing]
	}
	text := s.Name
	if s.Exit.Known {
		text += fmt.Sprintf(" %d:%d", s.Exit.Code, s.Exit.Signal)
	}
	if s.By != "" {
		text += " by " + s.By
	}
	if s.Nodes != "" {
		text += " on " + s.Nodes
	}
	if s.Phase == scheduler.Pending {
		text += " " + []string{"queued", "held", "unsatisfiable", "launch-failed"}[s.Reason.Kind]
	}
	if !s.Start.IsZero() {
		text += " start"
	}
	return text
}

// TestTranscripts parses the output of a real Slurm.
func TestTranscripts(t *testing.T) {
	want := map[string]string{
		"squeue-completed":  "COMPLETED on n1 start",
		"squeue-failed":     "FAILED on n1 start",
		"squeue-running":    "RUNNING on n1 start",
		"squeue-cancelled":  "CANCELLED on n1 start",
		"squeue-timeout":    "TIMEOUT on n1 start",
		"squeue-unknown-id": "missing",
		"squeue-silent":     "unknown",
		"squeue-refused":    "unknown",
		"squeue-array":      "PENDING queued start",

		"squeue-pending-held":             "PENDING held",
		"squeue-pending-node-limit":       "PENDING unsatisfiable",
		"squeue-pending-time-limit":       "PENDING unsatisfiable",
		"squeue-pending-dependency":       "PENDING queued",
		"squeue-pending-dependency-never": "PENDING unsatisfiable",
		"squeue-pending-partition-down":   "PENDING queued",
		"squeue-pending-drained":          "PENDING queued",
		"squeue-pending-resources":        "PENDING queued start",
		"squeue-pending-priority":         "PENDING queued start",

		"scontrol-completed":              "COMPLETED 0:0 on n1 start",
		"scontrol-failed":                 "FAILED 7:0 on n1 start",
		"scontrol-running":                "RUNNING 0:0 on n1 start",
		"scontrol-cancelled":              "CANCELLED 0:15 on n1 start",
		"scontrol-timeout":                "TIMEOUT 0:15 on n1 start",
		"scontrol-pending-node-limit":     "PENDING 0:0 unsatisfiable",
		"scontrol-pending-partition-down": "PENDING 0:0 queued",
		"scontrol-pending-resources":      "PENDING 0:0 queued start",
		"scontrol-unknown-id":             "missing",
		"scontrol-refused":                "unknown",

		"sacct-completed":         "COMPLETED 0:0 on n1 start",
		"sacct-failed":            "FAILED 7:0 on n1 start",
		"sacct-running":           "missing",
		"sacct-cancelled":         "CANCELLED 0:0 by 1001 on n1 start",
		"sacct-cancelled-by-root": "CANCELLED 0:0 by 0 on n1 start",
		"sacct-cancelled-pending": "CANCELLED 0:0 by 1001",
		"sacct-timeout":           "TIMEOUT 0:0 on n1 start",
		"sacct-unknown-id":        "missing",

		"squeue-sibling-running":   "RUNNING on w1 start",
		"squeue-sibling-failed":    "FAILED on w1 start",
		"squeue-sibling-elsewhere": "unknown",
		"scontrol-sibling-running": "RUNNING 0:0 on w1 start",
		"scontrol-sibling-failed":  "FAILED 7:0 on w1 start",
		"sacct-sibling-failed":     "FAILED 7:0 on w1 start",
	}
	ladder := Slurm{}.Queries("1", true)
	for name, want := range want {
		t.Run(name, func(t *testing.T) {
			argv, reply := transcript(t, "testdata/22.05/"+name+".txt")
			for _, q := range ladder {
				if q.Argv[0] != argv[0] {
					continue
				}
				if got := describe(q.Parse(reply)); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
}

// The commands recorded in the transcripts are the ones that are sent today.
func TestTranscriptsAreOfOurCommands(t *testing.T) {
	for _, path := range transcripts(t, "*-completed") {
		argv, _ := transcript(t, path)
		id := argv[len(argv)-1]
		for i, a := range argv {
			if a == "-j" {
				id = argv[i+1]
			}
		}
		for _, q := range (Slurm{}).Queries(scheduler.ID(id), true) {
			if q.Argv[0] == argv[0] && strings.Join(q.Argv, " ") != strings.Join(argv, " ") {
				t.Errorf("sent %q, recorded %q", q.Argv, argv)
			}
		}
	}
}

func TestSubmitReplies(t *testing.T) {
	const accepted, refused, unreachable, uncertain = scheduler.Accepted, scheduler.Refused, scheduler.Unreachable, scheduler.Uncertain
	for name, want := range map[string]scheduler.Submission{
		"sbatch-parsable":       {Outcome: accepted, ID: "10"},
		"sbatch-plain":          {Outcome: accepted, ID: "11"},
		"sbatch-ambiguous":      {Outcome: refused, Message: scheduler.Message{Lead: "ambiguous"}},
		"sbatch-bad-option":     {Outcome: refused, Message: scheduler.Message{Lead: "--nonsense"}},
		"sbatch-bad-partition":  {Outcome: refused, Message: scheduler.Message{Lead: "Invalid partition name"}},
		"sbatch-crlf":           {Outcome: refused, Message: scheduler.Message{Lead: "DOS line breaks"}},
		"sbatch-missing-script": {Outcome: refused, Message: scheduler.Message{Lead: "nothere.sh"}},
		"sbatch-no-shebang":     {Outcome: refused, Message: scheduler.Message{Lead: "#!"}},
		"sbatch-too-big":        {Outcome: refused, Message: scheduler.Message{Lead: "too long"}},
		"sbatch-uid":            {Outcome: refused, Message: scheduler.Message{Lead: "--uid"}},
		"sbatch-silent":         {Outcome: uncertain, Message: scheduler.Message{Lead: "timed out"}},
		"sbatch-refused":        {Outcome: unreachable, Message: scheduler.Message{Lead: "Unable to contact"}},
		"sbatch-no-conf":        {Outcome: unreachable, Message: scheduler.Message{Lead: "Unable to process"}},
		"sbatch-munge-down":     {Outcome: unreachable, Message: scheduler.Message{Lead: "Munge encode failed"}},
		"sbatch-submit-limit":   {Outcome: scheduler.Full, Message: scheduler.Message{Lead: "AssocMaxSubmitJobLimit"}},
		"sbatch-account":        {Outcome: refused, Message: scheduler.Message{Lead: "Invalid account"}},
		"sbatch-plugin":         {Outcome: refused, Message: scheduler.Message{Lead: "choose one with --account"}},
		"sbatch-plugin-lines":   {Outcome: refused, Message: scheduler.Message{Lead: "second line"}},
		"sbatch-filter":         {Outcome: refused, Message: scheduler.Message{Lead: "timed out; retry later"}},
	} {
		_, reply := transcript(t, "testdata/22.05/"+name+".txt")
		check(t, name, Slurm{}.ParseSubmit(reply), want)
	}
	for _, tt := range []struct {
		name  string
		reply scheduler.Reply
		want  scheduler.Submission
	}{
		{"cluster", scheduler.Reply{Stdout: "123;west\n"}, scheduler.Submission{Outcome: accepted, ID: "123;west"}},
		{"banner", scheduler.Reply{Stdout: "Welcome to 2 clusters!\n\n123\nBye\n"}, scheduler.Submission{Outcome: accepted, ID: "123"}},
		{"two ids", scheduler.Reply{Stdout: "123\n124\n"}, scheduler.Submission{Outcome: uncertain, Message: scheduler.Message{Lead: "123"}}},
		{"an id and a failure", scheduler.Reply{Stdout: "123\n", Code: 1}, scheduler.Submission{Outcome: uncertain}},
		{"nothing", scheduler.Reply{}, scheduler.Submission{Outcome: uncertain}},
		{"garbage", scheduler.Reply{Stdout: "\x00\xff12 3"}, scheduler.Submission{Outcome: uncertain}},
		{"zero", scheduler.Reply{Stdout: "0\n"}, scheduler.Submission{Outcome: uncertain}},
		{"a huge number", scheduler.Reply{Stdout: "123456789012\n"}, scheduler.Submission{Outcome: uncertain}},
		{"killed", scheduler.Reply{Stdout: "123\n", Err: os.ErrDeadlineExceeded}, scheduler.Submission{Outcome: uncertain}},
		{"a wrapper's end by a signal", scheduler.Reply{Code: 137}, scheduler.Submission{Outcome: uncertain}},
	} {
		check(t, tt.name, Slurm{}.ParseSubmit(tt.reply), tt.want)
	}
}

func check(t *testing.T, name string, got, want scheduler.Submission) {
	t.Helper()
	if got.Outcome != want.Outcome || got.ID != want.ID || !strings.Contains(got.Message.Text(), want.Message.Lead) {
		t.Errorf("%s: %+v, want %+v", name, got, want)
	}
}

// Every state of the manual pages is in the table, with the class in the list.
func TestEveryState(t *testing.T) {
	text, err := os.ReadFile("testdata/states.txt")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		listed[f[0]] = true
		row, ok := states()[f[0]]
		if !ok {
			t.Errorf("%s is not in the table", f[0])
			continue
		}
		got := []string{"unknown", "pending", "running", "completing", "done"}[row.Phase]
		if row.Phase == scheduler.Done {
			got = []string{"exited", "time", "memory", "deadline", "cancelled", "system-failure"}[row.Class]
		} else if row.Kind == held {
			got = "held"
		}
		if got != f[1] || row.Description == "" {
			t.Errorf("%s is %s (%q), want %s", f[0], got, row.Description, f[1])
		}
	}
	for name := range states() {
		if !listed[name] {
			t.Errorf("%s is in the table but not in testdata/states.txt", name)
		}
	}
}

func TestEveryReason(t *testing.T) {
	text, err := os.ReadFile("testdata/reasons.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		word, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "" || word == "#" {
			continue
		}
		r := reasonOf(name)
		if got := []string{"queued", "held", "unsatisfiable", "launch-failed"}[r.Kind]; got != word {
			t.Errorf("%s: %s, want %s", name, got, word)
		}
		if r.Description == name {
			t.Errorf("%s has no description", name)
		}
	}
	if r := reasonOf("SomethingNew"); r.Kind != queued || r.Description != "SomethingNew" {
		t.Errorf("a new reason: %+v, want its own name and kind queued", r)
	}
}

func TestCommands(t *testing.T) {
	s := Slurm{}
	spec := scheduler.Spec{Name: "ci-r-1", Script: "/d/job", Output: "/d/100%/log", Dir: "/b"}
	for _, tt := range []struct{ got, want string }{
		{
			strings.Join(s.Submit(spec, []string{"-N", "1"}).Argv, " "),
			"sbatch -N 1 --parsable --no-requeue --job-name=ci-r-1 --output=/d/100%%/log --open-mode=append --chdir=/b /d/job",
		},
		{strings.Join(s.Cancel("5").Argv, " "), "scancel 5"},
		{strings.Join(s.Cancel("5;west").Argv, " "), "scancel -M west 5"},
		{strings.Join(s.CancelName("u", "n").Argv, " "), "scancel -u u -n n"},
		{strings.Join(s.Signal("5").Argv, " "), "scancel --full -s TERM 5"},
		{strings.Join(s.Find("u", "").Argv, " "), "squeue -a --sibling -u u -o %i|%j|%T|%S|%N|%r"},
		{strings.Join(s.In("west").(Slurm).Find("u", "n").Argv, " "), "squeue -M west -a --sibling -u u -o %i|%j|%T|%S|%N|%r -n n -t all"},
		{strings.Join(s.In("west").(Slurm).CancelName("u", "n").Argv, " "), "scancel -M west -u u -n n"},
		{strings.Join(s.In("west,east").Cancel("5;east").Argv, " "), "scancel -M east 5"},
		{strings.Join(s.In("west").Cancel("5").Argv, " "), "scancel -M west 5"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s, want %s", tt.got, tt.want)
		}
	}
	if n := len(s.Queries("1", false)); n != 2 {
		t.Errorf("%d queries without accounting, want 2", n)
	}
}

func TestFind(t *testing.T) {
	_, reply := transcript(t, "testdata/22.05/find-all.txt")
	found, err := Slurm{}.ParseFind(reply)
	if err != nil || len(found) != 8 {
		t.Fatalf("%d jobs, error %v, want 8: an array is left out", len(found), err)
	}
	if f := found[len(found)-1]; f.ID != "14" || f.Name != "ci-abc-1" || f.State.Phase != scheduler.Running {
		t.Errorf("%+v", f)
	}
	if _, err := (Slurm{}).ParseFind(scheduler.Reply{Code: 1, Stderr: "down"}); err == nil {
		t.Error("a failed squeue is no empty list")
	}
	if _, err := (Slurm{}).ParseFind(scheduler.Reply{Err: os.ErrDeadlineExceeded}); err == nil {
		t.Error("a silent squeue is no empty list")
	}
}

// A job that another cluster of a federation runs, and those of several clusters, are found
// with the state that they have there.
func TestFindInClusters(t *testing.T) {
	for name, want := range map[string]string{
		"find-sibling":  "67108885 RUNNING, 67108884 RUNNING, ",
		"find-clusters": "4;west RUNNING, ",
	} {
		_, reply := transcript(t, "testdata/22.05/"+name+".txt")
		found, err := Slurm{}.ParseFind(reply)
		got := ""
		for _, f := range found {
			got += string(f.ID) + " " + f.State.Name + ", "
		}
		if err != nil || got != want {
			t.Errorf("%s: %s (%v), want %s", name, got, err, want)
		}
	}
	// The order of the records does not matter, and one record alone does not show an end.
	for text, want := range map[string]scheduler.Phase{
		"5|n|REVOKED|N/A||None\n5|n|RUNNING|N/A|w1|None\n": scheduler.Running,
		"5|n|REVOKED|N/A||None\n":                          scheduler.Unknown,
	} {
		found, err := Slurm{}.ParseFind(scheduler.Reply{Stdout: text})
		if err != nil || len(found) != 1 || found[0].State.Phase != want {
			t.Errorf("%q: %+v (%v), want one in phase %d", text, found, err, want)
		}
	}
}

func TestClusters(t *testing.T) {
	for _, tt := range []struct {
		words, id, want string
	}{
		{"-N 1", "", ""},
		{"-M west", "", "west"},
		{"-M west", "5;west", "west"},
		{"--clusters=west,east", "", "west,east"},
		{"--clusters=west,east", "5;east", "east"},
		{"--cluster west", "5", "west"},
		{"--clust=west", "", "west"},
		{"-Mwest -Meast", "", "east"},
	} {
		args, err := Slurm{}.Grammar().Parse(strings.Fields(tt.words))
		if got := (Slurm{}).Clusters(args, scheduler.ID(tt.id)); got != tt.want || err != nil {
			t.Errorf("%q and %q: %q (%v), want %q", tt.words, tt.id, got, err, tt.want)
		}
	}
}

func TestUsage(t *testing.T) {
	_, reply := transcript(t, "testdata/22.05/usage-burn.txt")
	u := Slurm{}.ParseUsage(reply)
	if u.Elapsed.Seconds() != 6 || u.CPU.Milliseconds() != 4109 || u.CPUs != 1 || u.Memory != 215876<<10 || u.Nodes != "n1" {
		t.Errorf("%+v", u)
	}
	if u := (Slurm{}).ParseUsage(scheduler.Reply{Code: 1, Stdout: reply.Stdout}); u != (scheduler.Usage{}) {
		t.Errorf("a failed sacct gave %+v", u)
	}
}

// No reply makes a parser panic, and a reply that is not a clear record never ends a job.
func FuzzParsers(f *testing.F) {
	for _, path := range transcripts(f, "*") {
		_, r := transcript(f, path)
		f.Add(r.Code, r.Stdout, r.Stderr)
	}
	f.Fuzz(func(t *testing.T, code int, stdout, stderr string) {
		r := scheduler.Reply{Code: code, Stdout: stdout, Stderr: stderr}
		for _, q := range (Slurm{}).Queries("1", true) {
			s := q.Parse(r)
			if s.Phase == scheduler.Done && (states()[s.Name].Phase != scheduler.Done || !strings.Contains(stdout, s.Name)) {
				t.Errorf("%q is taken for the end: %+v", stdout, s)
			}
			if code != 0 && s.Phase != scheduler.Unknown {
				t.Errorf("a failed command is accepted: %+v", s)
			}
		}
		if sub := (Slurm{}).ParseSubmit(r); sub.Outcome == scheduler.Accepted && (code != 0 || !strings.Contains(stdout, string(sub.ID))) {
			t.Errorf("%q is taken for the id %s", stdout, sub.ID)
		}
		_, _ = Slurm{}.ParseFind(r)
		if u := (Slurm{}).ParseUsage(r); u.CPU < 0 || u.Memory < 0 || u.Elapsed < 0 {
			t.Errorf("negative use %+v from %q", u, stdout)
		}
	})
}
