package admin

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/test/harness/testutil"
)

// month writes ended jobs of a month and returns the journal with the sums put in.
func month(t *testing.T) (js Journals, cpu map[string]float64) {
	t.Helper()
	dir := t.TempDir()
	testutil.Must(t, os.Chmod(dir, 0o750))
	js, err := ParseJournals([]string{dir})
	testutil.Must(t, err)
	j, err := journal.Open(js[0], "login1")
	testutil.Must(t, err)
	defer j.Close()
	cpu = map[string]float64{}
	for n := range 60 {
		project := []string{"climate/icon", "climate/deep/x", "=cmd|calc"}[n%3]
		exit, code := "ok", 0
		if n%10 == 0 {
			exit, code = "build", 7
		}
		end := now.Add(-time.Duration(n) * 12 * time.Hour)
		begin := end.Add(-time.Minute)
		id := job.ID(n + 1)
		l, err := j.Create(journal.Key{UID: 1, Project: 2, Job: id},
			journal.At(begin, journal.Granted, journal.Context{Account: "alice", Project: project, Executor: "slurm", Rule: "default", Pipeline: 9, ProjectID: 2}),
			journal.At(begin, journal.Stage, journal.Context{Stage: "build_script"}),
			journal.At(begin, journal.Batch, journal.Context{BatchID: "77", Phase: "submitted"}),
			journal.At(begin.Add(10*time.Second), journal.Batch, journal.Context{BatchID: "77", Phase: "running", Seconds: float64(n), Node: "n1"}),
			journal.At(end, journal.Batch, journal.Context{BatchID: "77", Phase: "ended", Seconds: float64(n), CPU: 100}),
			journal.At(end, journal.StageEnd, journal.Context{Stage: "build_script", Exit: exit, Code: code, CPU: 1.5, Peak: 1 << 20}))
		testutil.Must(t, err, l.End(journal.At(end, journal.Ended, journal.Context{})))
		cpu[project] += 1.5
	}
	return js, cpu
}

// TestReport (HEPTAPOD/NAMESPACES): the sums of a month equal the figures put in, and no cell is a formula.
func TestReport(t *testing.T) {
	js, cpu := month(t)
	var out bytes.Buffer
	testutil.Must(t, Report(&out, ReportOptions{Journals: js, By: []string{"namespace", "project"}, Since: 31 * 24 * time.Hour, CSV: true}, now))
	rows, err := csv.NewReader(&out).ReadAll()
	testutil.Must(t, err)
	if got := strings.Join(rows[0], ","); got != "namespace,project,jobs,failed,wall,cpu,batch_cpu,peak,disk,wait_median,wait_95" {
		t.Errorf("%s", got)
	}
	if len(rows) != 4 {
		t.Fatalf("%q", rows)
	}
	for _, row := range rows[1:] {
		project := strings.TrimPrefix(row[1], "'")
		if got, err := strconv.ParseFloat(row[5], 64); err != nil || got != cpu[project] || row[2] != "20" || row[4] != "1200" || row[6] != "2000" || row[7] != "1048576" {
			t.Errorf("%q, %v", row, err)
		}
		if strings.ContainsRune("=+-@", rune(row[1][0])) {
			t.Errorf("%q is a formula", row[1])
		}
	}
	out.Reset()
	testutil.Must(t, Report(&out, ReportOptions{Journals: js, By: []string{"account"}, Since: 31 * 24 * time.Hour}, now))
	if fields := strings.Fields(strings.Split(out.String(), "\n")[1]); strings.Join(fields, " ") != "alice 60 6 1h00m 1m30s 1h40m 1.0 MiB - 29s 56s" {
		t.Errorf("%q", fields)
	}
	if err := Report(&out, ReportOptions{Journals: js, By: []string{"shoe size"}}, now); err == nil || !strings.Contains(err.Error(), "--by") {
		t.Error(err)
	}
}

// TestUnreadFiles: a trace, a report and the metrics are incomplete without a file that cannot
// be read, and name it; the metrics count it once it can be.
func TestUnreadFiles(t *testing.T) {
	js := journalWith(t, past{id: 1, account: "a", exit: "ok", end: now.AddDate(0, 0, -1)}, past{id: 2, account: "a", exit: "ok", end: now})
	const since = 72 * time.Hour
	dir := t.TempDir()
	o := StatusOptions{Journals: js, Metrics: dir + "/m.prom", Counters: dir + "/counters.json", Since: since}
	file := func(dir string) string {
		return filepath.Join(js[0].String(), "login1", dir, now.AddDate(0, 0, -1).Format(time.DateOnly)+".jsonl")
	}
	names := func(name, file string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
	testutil.Must(t, os.Chmod(file("days"), 0o666))
	names("trace", file("days"), Trace(&bytes.Buffer{}, js, since, now))
	s, err := Status(o, now)
	names("status", file("days"), err)
	if n := len(s.Attention); n != 1 || s.Attention[0].ID != "incomplete" || !strings.Contains(s.Attention[0].What, file("days")) {
		t.Errorf("%+v", s.Attention)
	}
	testutil.Must(t, os.Chmod(file("days"), 0o640))
	for range 2 {
		s, err := Status(o, now)
		testutil.Must(t, err)
		metrics, err := os.ReadFile(o.Metrics)
		if err != nil || len(s.Attention) != 0 || !strings.Contains(string(metrics), `jacamar_jobs_ended_total{executor="shell",exit="ok"} 2`) {
			t.Errorf("%v, %+v: %s", err, s.Attention, metrics)
		}
	}
	testutil.Must(t, Digest(&bytes.Buffer{}, js[0], now), os.Remove(file("days")), os.Chmod(file("digest"), 0o666))
	names("report", file("digest"), Report(&bytes.Buffer{}, ReportOptions{Journals: js, By: []string{"exit"}, Since: since}, now))
}

// TestTrace (OPS/TRACES): each job is one line with a span, those of its stages and of its wait below
// it. With GitLab's ids the job is below the runner's span.
func TestTrace(t *testing.T) {
	js, _ := month(t)
	var out bytes.Buffer
	testutil.Must(t, Trace(&out, js, 24*time.Hour, now))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	seen := map[string]bool{}
	for _, line := range lines {
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		var data tracesData
		testutil.Must(t, d.Decode(&data))
		spans := data.ResourceSpans[0].ScopeSpans[0].Spans
		var names []string
		for _, s := range spans {
			names = append(names, s.Name)
			if len(s.TraceID) != 32 || len(s.SpanID) != 16 || s.TraceID != spans[0].TraceID || seen[s.SpanID] || s.Start > s.End || len(s.Start) != 19 {
				t.Errorf("%+v", s)
			}
			seen[s.SpanID] = true
			if s.Name != "job" && s.Parent != spans[0].SpanID || s.Name == "job" && s.Parent != "" {
				t.Errorf("%s is below %q", s.Name, s.Parent)
			}
		}
		if fmt.Sprint(names) != "[job batch wait build_script]" {
			t.Errorf("%q", names)
		}
		seen[spans[0].TraceID] = true
	}
	traced := journal.Record{Host: "h", Events: []journal.Event{
		journal.At(now, journal.Granted, journal.Context{Job: 1, Trace: strings.Repeat("ab", 16), Span: strings.Repeat("cd", 8)}),
		journal.At(now, journal.Ended, journal.Context{Job: 1}),
	}}
	if top := traceOf(traced).ResourceSpans[0].ScopeSpans[0].Spans[0]; top.TraceID != strings.Repeat("ab", 16) || top.Parent != strings.Repeat("cd", 8) {
		t.Errorf("%+v", top)
	}
}
