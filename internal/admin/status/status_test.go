package status

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// record returns a live record of a job that was granted some time ago.
func record(id job.ID, ago time.Duration, running bool, owner *proctree.Process, more ...journal.Event) journal.Record {
	granted := journal.At(now.Add(-ago), journal.Granted, journal.Context{
		Job: id, Account: "alice", Project: "<b>group</b>/p", Executor: "slurm", Owner: owner, Until: now.Add(time.Hour).Unix(),
	})
	return journal.Record{Host: "login1", Key: journal.Key{UID: 1, Project: 2, Job: id}, Live: true, Running: running, Events: append([]journal.Event{granted, journal.At(now.Add(-ago), journal.Settled, journal.Context{Job: id})}, more...)}
}

func past(id job.ID, exit string, code int, cpu float64) journal.Record {
	at := now.Add(-time.Hour)
	r := record(id, time.Hour, false, nil,
		journal.At(at, journal.Batch, journal.Context{Job: id, Phase: "submitted", BatchID: "9"}),
		journal.At(at.Add(70*time.Second), journal.Batch, journal.Context{Job: id, Phase: "running", BatchID: "9"}),
		journal.At(at.Add(80*time.Second), journal.StageEnd, journal.Context{Job: id, Stage: "build_script", Exit: exit, Code: code, CPU: cpu, Peak: 1 << 20}),
		journal.At(at.Add(90*time.Second), journal.Ended, journal.Context{Job: id, Exit: "ok"}))
	r.Live = false
	return r
}

func pastOf(records ...journal.Record) (p Past) {
	for _, r := range records {
		p.Add(r)
	}
	return p
}

// TestPastRecordedTwice: what a repeated cleanup wrote replaces what the first one wrote, and
// records without a beginning are all kept.
func TestPastRecordedTwice(t *testing.T) {
	without := past(3, "ok", 0, 1)
	without.Events = without.Events[1:]
	var got []string
	for _, j := range pastOf(past(1, "script_failure", 1, 1), past(2, "ok", 0, 1), without, past(1, "ok", 0, 2), without).Jobs {
		got = append(got, j.ID+" "+j.Exit)
	}
	if want := []string{"1 ok", "2 ok", "3 ok", "3 ok"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func snapshot() Snapshot {
	gone := &proctree.Process{PID: 7}
	return NewSnapshot(Input{
		Now: now, Hosts: []string{"login1"},
		Live: []journal.Record{
			record(3, time.Minute, true, nil, journal.At(now, journal.Stage, journal.Context{Job: 3, Stage: "build_script"})),
			record(1, 2*time.Hour, false, gone),
			record(2, time.Hour, false, nil),
		},
		Past: pastOf(
			past(10, "ok", 0, 2), past(11, "script_failure", 7, 5),
			journal.Record{Host: "login1", Events: []journal.Event{journal.At(now, journal.Refused, journal.Context{Job: 12, Rule: "user_blocklist"})}},
		),
		Gone: func(p proctree.Process) bool { return p.PID == 7 },
	})
}

func TestNewSnapshot(t *testing.T) {
	s := snapshot()
	var got []string
	for _, j := range s.Live {
		got = append(got, fmt.Sprintf("%s %s %s", j.ID, j.State, j.Stage))
	}
	if want := "1 ghost |2 quiet |3 running build_script"; strings.Join(got, "|") != want {
		t.Errorf("%q, want %q", got, want)
	}
	if len(s.Ended) != 2 || len(s.Failures) != 1 || s.Failures[0] != (Count{"script_failure", 1}) || s.Refusals[0] != (Count{"user_blocklist", 1}) {
		t.Errorf("%+v", s)
	}
	if u := s.Usage; len(u) != 1 || u[0].Jobs != 2 || u[0].Failed != 1 || u[0].CPU != 7 {
		t.Errorf("%+v", u)
	}
	if len(s.Attention) != 2 || s.Attention[0].ID != "ghost" || !strings.Contains(s.Attention[0].What, "1") {
		t.Errorf("%+v", s.Attention)
	}
}

// TestPageShowsHostileNamesAsText (MON/STATIC): names of projects are untrusted and escaped.
func TestPageShowsHostileNamesAsText(t *testing.T) {
	var page bytes.Buffer
	if err := snapshot().Page(&page, false); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	if strings.Contains(text, "<b>group") || !strings.Contains(text, "&lt;b&gt;group&lt;/b&gt;/p") {
		t.Error("a project's name is markup")
	}
	for _, outside := range []string{"<script", "http://", "https://", "src=", "@import"} {
		if strings.Contains(text, outside) {
			t.Errorf("the page has %q", outside)
		}
	}
	page.Reset()
	if err := snapshot().Page(&page, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.String(), "alice") || strings.Contains(page.String(), "group") {
		t.Error("the public page has names")
	}
}

// TestPublicPage: no text that an account or its programs choose is on the public page.
func TestPublicPage(t *testing.T) {
	const chosen = "chosen-by-a-user"
	c := journal.Context{Project: chosen, Ref: chosen, Login: chosen, Account: chosen, System: chosen, BatchID: chosen, Phase: journal.PhasePending, Reason: chosen, Node: chosen, Base: chosen, Builds: chosen, Scripts: chosen}
	r := journal.Record{Live: true, Running: true, Key: journal.Key{UID: 1, Project: 2, Job: 3}}
	for _, name := range []journal.Name{journal.Granted, journal.Settled, journal.Batch, journal.Ended} {
		r.Events = append(r.Events, journal.At(now, name, c))
	}
	s := NewSnapshot(Input{Now: now, Live: []journal.Record{r}, Past: pastOf(r), Gone: func(proctree.Process) bool { return false }})
	for public, want := range map[bool]bool{true: false, false: true} {
		var page bytes.Buffer
		testutil.Must(t, s.Page(&page, public))
		if strings.Contains(page.String(), chosen) != want {
			t.Errorf("public: %v: %s", public, page.String())
		}
	}
}

func TestJSONOfNothing(t *testing.T) {
	text, err := json.Marshal(NewSnapshot(Input{Now: now}))
	if err != nil || strings.Contains(strings.Replace(string(text), `"hosts":null`, "", 1), "null") || !strings.Contains(string(text), `"schema":1`) {
		t.Errorf("%s, %v", text, err)
	}
}

// parse reads metrics as node_exporter does and returns every value by its name and
// labels.
func parse(t *testing.T, text string) map[string]float64 {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	values := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			key := name
			for _, l := range m.GetLabel() {
				key += "," + l.GetName() + "=" + l.GetValue()
			}
			values[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// TestMetrics (OPS/METRICS).
func TestMetrics(t *testing.T) {
	dir := t.TempDir()
	p, err := job.ParseAbsPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	days := filepath.Join(dir, "login1", "days")
	if err := os.MkdirAll(days, 0o750); err != nil {
		t.Fatal(err)
	}
	write := func(day string, records ...journal.Record) {
		t.Helper()
		file, err := os.OpenFile(filepath.Join(days, day), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for _, r := range records {
			for _, e := range r.Events {
				if err := json.NewEncoder(file).Encode(e); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var c Counters
	measure := func() map[string]float64 {
		t.Helper()
		if err := c.Count(p, "login1"); err != nil {
			t.Fatal(err)
		}
		kept, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		c = Counters{}
		if err := json.Unmarshal(kept, &c); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := snapshot().Metrics(&out, c); err != nil {
			t.Fatal(err)
		}
		return parse(t, out.String())
	}
	write("2026-11-27.jsonl", past(10, "ok", 0, 2))
	if m := measure(); m["jacamar_jobs_ended_total,executor=slurm,exit=ok"] != 1 || m["jacamar_batch_wait_seconds"] != 1 || m["jacamar_jobs,executor=slurm,state=ghost"] != 1 {
		t.Errorf("%v", m)
	}
	write("2026-11-27.jsonl", past(11, "script_failure", 7, 5))
	write("2026-11-28.jsonl", past(12, "ok", 0, 1), journal.Record{Events: []journal.Event{journal.At(now, journal.Refused, journal.Context{Rule: "a\"b\\c"})}})
	m := measure()
	if m["jacamar_jobs_ended_total,executor=slurm,exit=ok"] != 2 || m["jacamar_cpu_seconds_total,executor=slurm"] != 8 || m[`jacamar_refused_total,rule=a"b\c`] != 1 {
		t.Errorf("%v", m)
	}
	// Retention removes days; no counter decreases, and nothing is counted twice.
	if err := os.Remove(filepath.Join(days, "2026-11-27.jsonl")); err != nil {
		t.Fatal(err)
	}
	again := measure()
	for name, value := range m {
		if again[name] != value {
			t.Errorf("%s is %v, was %v", name, again[name], value)
		}
	}
}

// TestClockJumps (OPS/METRICS): events of a clock that was set back and forward give no
// negative figure, and no counter that falls.
func TestClockJumps(t *testing.T) {
	at := func(hours int, name journal.Name, c journal.Context) journal.Event {
		c.Job = 9
		return journal.At(now.Add(time.Duration(hours)*time.Hour), name, c)
	}
	jumps := journal.Record{Host: "login1", Events: []journal.Event{
		at(0, journal.Granted, journal.Context{Account: "a", Executor: "slurm", Until: now.Add(time.Hour).Unix()}),
		at(24, journal.Batch, journal.Context{BatchID: "7", Phase: journal.PhaseSubmitted}),
		at(-24, journal.Batch, journal.Context{BatchID: "7", Phase: journal.PhaseRunning}),
		at(-48, journal.StageEnd, journal.Context{Stage: "build_script", Exit: "ok", CPU: -3}),
		at(-1, journal.Ended, journal.Context{}),
	}}
	live := jumps
	live.Live, live.Events = true, jumps.Events[:3]
	s := NewSnapshot(Input{Now: now, Live: []journal.Record{live}, Past: pastOf(jumps), Gone: func(proctree.Process) bool { return false }})
	var c Counters
	c.count(jumps)
	for _, write := range []func(io.Writer) error{
		func(w io.Writer) error { return s.Page(w, false) }, func(w io.Writer) error { return s.Metrics(w, c) },
	} {
		var out bytes.Buffer
		if err := write(&out); err != nil || regexp.MustCompile(`[ >]-[0-9]`).Match(out.Bytes()) {
			t.Errorf("%v: %s", err, out.Bytes())
		}
	}
}

// TestResult: a job has the result that GitLab and the operator's log have, whichever of its
// stages failed.
func TestResult(t *testing.T) {
	for _, failed := range []string{"config", "prepare", "get_sources", "build_script", "after_script", "upload_artifacts_on_success", "cleanup_file_variables", "cleanup"} {
		r := record(9, time.Hour, false, nil)
		for _, stage := range []string{"build_script", failed} {
			c := journal.Context{Stage: stage, Exit: "ok", CPU: 2, Peak: 7}
			if stage == failed {
				c.Exit, c.Code = "build", 3
			}
			r.Events = append(r.Events, journal.At(now, journal.StageEnd, c), journal.At(now, journal.Batch, journal.Context{BatchID: "1", CPU: 1}))
		}
		want, got := journal.ResultOf(r.Events), NewJob(r)
		if got.Exit != want.Exit || got.Code != want.Code || got.CPU != 6 || got.BatchCPU != 2 || got.Peak != 7 || (got.Exit == "ok") != (failed == "after_script" || strings.HasPrefix(failed, "cleanup")) {
			t.Errorf("%s failed: %+v, want %+v", failed, got, want)
		}
	}
}

func TestDurationAndBytes(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0s", 59 * time.Second: "59s", 185 * time.Second: "3m05s", 130 * time.Minute: "2h10m", 99 * time.Hour: "4d03h"} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "", 1023: "1023 B", 1536: "1.5 KiB", 5 << 40: "5.0 TiB", 5 << 50: "5120.0 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// TestSeriesAreBounded: of labels with any number of values no more than the bound stay, and
// all that was counted does.
func TestSeriesAreBounded(t *testing.T) {
	var s series
	for i := range 3 * maxSeries {
		s.add(1, "stage", fmt.Sprint("s", i), "exit", "ok")
	}
	s.add(1, "stage", "s0", "exit", "ok")
	if got := s[labelText([]string{"stage", "other", "exit", "other"})]; got != 2*maxSeries || len(s) != maxSeries+1 {
		t.Errorf("%v others in %d series", got, len(s))
	}
	if got := s[labelText([]string{"stage", "s0", "exit", "ok"})]; got != 2 {
		t.Errorf("%v of a known one", got)
	}
}
