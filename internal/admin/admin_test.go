package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/admin/status"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// fill writes a journal with a live job of alice, an ended one of bob and a refusal.
func fill(t *testing.T) Journals {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	js, err := ParseJournals([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(js[0], "login1")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	self, _ := proctree.Find(os.Getpid())
	begin := func(id job.ID, account, project string) *journal.Live {
		l, err := j.Create(journal.Key{UID: 1, Project: 2, Job: id}, journal.At(now.Add(-time.Hour), journal.Granted, journal.Context{
			Account: account, Project: project, Executor: "slurm", Owner: &self, Until: now.Add(time.Hour).Unix(),
		}), journal.At(now.Add(-time.Minute), journal.Stage, journal.Context{Stage: "build_script"}))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	live := begin(1, "alice", "climate/icon")
	t.Cleanup(func() { live.Close() })
	if err := begin(2, "bob", "climate\x1b[31m/x").End(journal.At(now.Add(-time.Second), journal.Ended, journal.Context{Exit: "script_failure", Code: 7})); err != nil {
		t.Fatal(err)
	}
	if err := j.Refuse(journal.At(now.Add(-time.Second), journal.Refused, journal.Context{Job: 3, Project: "climate/icon", Login: "carol", Rule: "user_blocklist", Reason: "carol is listed"})); err != nil {
		t.Fatal(err)
	}
	return js
}

func jobs(t *testing.T, o JobsOptions) string {
	t.Helper()
	o.Filter.Since = 24 * time.Hour
	var out bytes.Buffer
	if err := Jobs(&out, o, now); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestJobs(t *testing.T) {
	js := fill(t)
	refused := "3 climate/icon carol user_blocklist " + now.Add(-time.Second).Local().Format(time.DateTime) + " carol is listed"
	for _, tt := range []struct {
		name string
		o    JobsOptions
		want []string
	}{
		{"live", JobsOptions{}, []string{"1 climate/icon alice slurm running build_script 1h00m - - - - - - -"}},
		{"ended", JobsOptions{Ended: true}, []string{"2 climate?[31m/x bob slurm script_failure 7 59m59s - - - - 1s"}},
		{"refused", JobsOptions{Refused: true}, []string{refused}},
		{"refused of a group", JobsOptions{Refused: true, Filter: Filter{Project: "climate"}}, []string{refused}},
		{"refused of a part of a name", JobsOptions{Refused: true, Filter: Filter{Project: "climate/ic"}}, nil},
		{"of another account", JobsOptions{Filter: Filter{Account: "bob"}}, nil},
		{"of a group", JobsOptions{Filter: Filter{Project: "climate"}}, []string{"1 climate/icon alice slurm running build_script 1h00m - - - - - - -"}},
		{"of a part of a name", JobsOptions{Filter: Filter{Project: "clim"}}, nil},
		{"in another state", JobsOptions{Filter: Filter{State: "ghost"}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Journals = js
			lines := strings.Split(strings.TrimSpace(jobs(t, tt.o)), "\n")
			var got []string
			for _, line := range lines[1:] {
				got = append(got, strings.Join(strings.Fields(line), " "))
			}
			if strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	if err := Jobs(io.Discard, JobsOptions{Journals: js, Filter: Filter{State: "gost"}}, now); err == nil || !strings.Contains(err.Error(), "ghost") {
		t.Errorf("a state that does not exist: %v", err)
	}
	var list []status.Job
	if err := json.Unmarshal([]byte(jobs(t, JobsOptions{Journals: js, JSON: true})), &list); err != nil || len(list) != 1 || list[0].ID != "1" {
		t.Errorf("%+v, %v", list, err)
	}
	if got := jobs(t, JobsOptions{Journals: js, JSON: true, Filter: Filter{Account: "nobody"}}); got != "[]\n" {
		t.Errorf("no jobs are %q", got)
	}
}

func TestShow(t *testing.T) {
	js := fill(t)
	var out bytes.Buffer
	if err := Show(&out, js, 2, 24*time.Hour, false, now); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"host login1", "granted", "account=bob", "+59m00s", "exit=script_failure code=7"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a name reaches the terminal as it is")
	}
	if err := Show(&out, js, 99, time.Hour, false, now); err == nil || !strings.Contains(err.Error(), "no job 99") {
		t.Error(err)
	}
}

func TestNoJournal(t *testing.T) {
	js, err := ParseJournals([]string{filepath.Join(t.TempDir(), "none")})
	if err != nil {
		t.Fatal(err)
	}
	if err := Jobs(&bytes.Buffer{}, JobsOptions{Journals: js}, now); err == nil || !strings.Contains(err.Error(), "no job has run yet") {
		t.Error(err)
	}
}

func TestStatusFiles(t *testing.T) {
	dir := t.TempDir()
	o := StatusOptions{
		Journals: fill(t), HTML: filepath.Join(dir, "index.html"), JSON: filepath.Join(dir, "status.json"), Metrics: filepath.Join(dir, "jacamar.prom"),
		Counters: filepath.Join(dir, "counters.json"), Since: 24 * time.Hour,
	}
	for range 2 {
		if s, err := Status(o, now); err != nil || len(s.Live) != 1 {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	for name, want := range map[string]string{o.HTML: "climate/icon", o.JSON: `"schema":1`, o.Metrics: `jacamar_refused_total{rule="user_blocklist"} 1`} {
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: no %q: %v", name, want, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".jacamar-*")); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
	o.HTML = filepath.Join(dir, "none", "index.html")
	if _, err := Status(o, now); err == nil {
		t.Error("a page that cannot be written is no error")
	}
}

// BenchmarkPage writes the page, JSON and metrics of 500 live jobs. The processor time is
// reported as well: the wall clock has that of other work on the machine.
func BenchmarkPage(b *testing.B) {
	dir := b.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		b.Fatal(err)
	}
	js, err := ParseJournals([]string{dir})
	if err != nil {
		b.Fatal(err)
	}
	j, err := journal.Open(js[0], "login1")
	if err != nil {
		b.Fatal(err)
	}
	self, _ := proctree.Find(os.Getpid())
	for id := range job.ID(500) {
		l, err := j.Create(journal.Key{UID: 1, Project: 2, Job: id + 1}, journal.At(now, journal.Granted, journal.Context{Account: "alice", Project: "climate/icon", Owner: &self}))
		if err != nil {
			b.Fatal(err)
		}
		for range 12 {
			if err := l.Append(journal.At(now, journal.Stage, journal.Context{Stage: "build_script"}), journal.At(now, journal.StageEnd, journal.Context{Exit: "ok"})); err != nil {
				b.Fatal(err)
			}
		}
		l.Close()
	}
	out := b.TempDir()
	o := StatusOptions{Journals: js, HTML: out + "/index.html", JSON: out + "/status.json", Metrics: out + "/jacamar.prom", Counters: out + "/counters", Since: 24 * time.Hour}
	before := processorTime(b)
	for b.Loop() {
		s, err := Status(o, now)
		if err != nil || len(s.Live) != 500 {
			b.Fatal(len(s.Live), err)
		}
	}
	b.ReportMetric((processorTime(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
}

// processorTime is that of this process until now.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestBrokenCounters (OPS/METRICS): counters that were lost, or written in part before a
// power failure, begin again with the days that are left.
func TestBrokenCounters(t *testing.T) {
	js := journalWith(t, past{id: 1, account: "a", exit: "ok", end: now})
	dir := t.TempDir()
	o := StatusOptions{Journals: js, Metrics: dir + "/m.prom", Counters: dir + "/counters.json", Since: time.Hour}
	for name, text := range map[string]string{"none": "", "half": `{"read":{"login1":{"day":"20`, "text": "x", "empty": "\x00\x00"} {
		testutil.Must(t, os.RemoveAll(o.Counters))
		if name != "none" {
			testutil.Must(t, os.WriteFile(o.Counters, []byte(text), 0o644))
		}
		for range 2 {
			if _, err := Status(o, now); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			metrics, err := os.ReadFile(o.Metrics)
			if err != nil || !strings.Contains(string(metrics), `jacamar_jobs_ended_total{executor="shell",exit="ok"} 1`) {
				t.Errorf("%s: %v: %s", name, err, metrics)
			}
		}
	}
}

// TestUnwrittenMetrics: what no metrics show is not counted, so that the next run counts it.
func TestUnwrittenMetrics(t *testing.T) {
	js := journalWith(t, past{id: 1, account: "a", exit: "ok", end: now})
	dir := t.TempDir()
	o := StatusOptions{Journals: js, Metrics: dir + "/missing/m.prom", Counters: dir + "/counters.json", Since: time.Hour}
	if _, err := Status(o, now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(o.Counters); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there are counters: %v", err)
	}
	o.Metrics = dir + "/m.prom"
	if _, err := Status(o, now); err != nil {
		t.Error(err)
	}
	if c, err := readCounters(o.Counters); err != nil || len(c.Read) == 0 {
		t.Errorf("%v: the counters have %+v", err, c)
	}
}

// TestDetails: no text of an event is taken for another one.
func TestDetails(t *testing.T) {
	uid := job.UID(7)
	for _, tt := range []struct {
		c    journal.Context
		want string
	}{
		{journal.Context{Project: "group/project", Ref: "main", UID: &uid, Code: 3, Partial: true}, "project=group/project ref=main uid=7 code=3 partial=true"},
		{journal.Context{Reason: "it is busy", Node: "n1"}, `reason="it is busy" node=n1`},
		{journal.Context{Ref: "exit=ok", Node: "n1 exit=ok code=0", BatchID: `1" exit="ok`}, `ref="exit=ok" batch_id="1\" exit=\"ok" node="n1 exit=ok code=0"`},
		{journal.Context{Ref: "<ü>"}, "ref=<ü>"},
	} {
		if got := details(tt.c); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

// TestReapOfManyAccounts: jobs of one account that take long keep no job of another from being
// cleaned up.
func TestReapOfManyAccounts(t *testing.T) {
	var f findings
	for id := range job.ID(20) {
		f.ghosts = append(f.ghosts, journal.Record{Key: journal.Key{UID: 1, Project: 1, Job: id + 1}})
	}
	f.ghosts = append(f.ghosts, journal.Record{Key: journal.Key{UID: 2, Project: 1, Job: 21}})
	other := make(chan struct{})
	o := ReapOptions{CleanUp: func(_ context.Context, k journal.Key) error {
		if k.UID == 2 {
			close(other)
			return nil
		}
		select {
		case <-other:
			return nil
		case <-time.After(time.Minute):
			return errors.New("the other account's job was not cleaned up meanwhile")
		}
	}}
	var out bytes.Buffer
	if unsettled, err := o.cleanUp(t.Context(), &out, f); unsettled != 0 || err != nil {
		t.Errorf("%d, %v: %s", unsettled, err, out.String())
	}
}
