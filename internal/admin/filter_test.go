package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/admin/status"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

// TestRefusalsAreFiltered as other jobs are: by the account, and by the project or all
// projects below a group.
func TestRefusalsAreFiltered(t *testing.T) {
	refused := func(id job.ID, account, project string) journal.Record {
		return journal.Record{Events: []journal.Event{journal.At(now, journal.Refused, journal.Context{Job: id, Account: account, Project: project})}}
	}
	var in status.Input
	for _, r := range []journal.Record{
		refused(1, "alice", "climate/icon"), refused(2, "bob", "climate/deep/x"), refused(3, "", "climatic/x"),
		{Events: []journal.Event{journal.At(now, journal.Ended, journal.Context{Job: 4})}},
	} {
		in.Past.Add(r)
	}
	for name, tt := range map[string]struct {
		filter Filter
		want   []string
	}{
		"all":                   {Filter{}, []string{"1", "2", "3"}},
		"an account":            {Filter{Account: "bob"}, []string{"2"}},
		"a project":             {Filter{Project: "climate/icon"}, []string{"1"}},
		"a group":               {Filter{Project: "climate"}, []string{"1", "2"}},
		"an account of a group": {Filter{Project: "climate", Account: "alice"}, []string{"1"}},
		"no such":               {Filter{Project: "clim"}, nil},
	} {
		var out bytes.Buffer
		testutil.Must(t, refusals(&out, in, JobsOptions{Filter: tt.filter}))
		var got []string
		for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n")[1:] {
			got = append(got, strings.Fields(line)[0])
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestDrainOfASnapshot is the one in force; one that is over is none.
func TestDrainOfASnapshot(t *testing.T) {
	js := fill(t)
	for name, tt := range map[string]struct {
		until time.Time
		want  string
	}{"none": {time.Time{}, ""}, "in force": {now.Add(time.Hour), "new disks"}, "over": {now.Add(-time.Hour), ""}} {
		if !tt.until.IsZero() {
			testutil.Must(t, journal.SetMark(js[0], journal.Drain, journal.Mark{Message: "new disks", Until: tt.until.Unix(), Made: 1}))
		}
		in, err := js.input(Filter{Since: time.Hour}, now)
		if err != nil || in.Drain != tt.want {
			t.Errorf("%s: %q, %v", name, in.Drain, err)
		}
	}
	mark := filepath.Join(js[0].String(), "marks", string(journal.Drain))
	if err := os.WriteFile(mark, []byte(`{"message":"new disks","until":"x"}`), 0o640); err != nil {
		t.Skipf("marks are elsewhere: %v", err)
	}
	if in, err := js.input(Filter{}, now); err != nil || in.Drain != "" {
		t.Errorf("a mark that cannot be read: %q, %v", in.Drain, err)
	}
}

// TestEachEnds with the first error of a host.
func TestEachEnds(t *testing.T) {
	js := append(fill(t), fill(t)...)
	calls, no := 0, errors.New("no")
	if err := js.each(func(job.AbsPath, string) error { calls++; return no }); err != no || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	calls = 0
	if err := js.each(func(job.AbsPath, string) error { calls++; return nil }); err != nil || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// TestRemembered: each process is looked up once, and its answer stays.
func TestRemembered(t *testing.T) {
	calls := 0
	gone := remembered(func(p proctree.Process) bool { calls++; return p.PID == 2 })
	for range 3 {
		if gone(proctree.Process{PID: 1}) || !gone(proctree.Process{PID: 2}) {
			t.Error("the answer is another one")
		}
	}
	if calls != 2 {
		t.Errorf("%d look-ups of 2 processes", calls)
	}
}

// TestWatch prints tables until it is stopped, in JSON nothing else, and ends with an error.
func TestWatch(t *testing.T) {
	for asJSON, want := range map[bool]string{false: "\n20", true: "["} {
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		w := stopAfter{&out, cancel}
		if err := Watch(ctx, w, JobsOptions{Journals: fill(t), JSON: asJSON}, time.Hour); err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("JSON %v: %v: %q", asJSON, err, out.String())
		}
	}
	none, err := ParseJournals([]string{filepath.Join(t.TempDir(), "none")})
	testutil.Must(t, err)
	if err := Watch(t.Context(), io.Discard, JobsOptions{Journals: none}, time.Hour); !errors.Is(err, errNoJournal) {
		t.Errorf("without a journal: %v", err)
	}
}

// stopAfter stops a command when it has written a table.
type stopAfter struct {
	to   io.Writer
	stop func()
}

func (w stopAfter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "JOB") || bytes.HasPrefix(p, []byte("[")) {
		w.stop()
	}
	return w.to.Write(p)
}

// TestAttentionForMonitoring: jobs that are left behind or overdue are critical, everything
// else is a warning.
func TestAttentionForMonitoring(t *testing.T) {
	for want, ids := range map[int][][]string{
		allWell: {nil}, warning: {{"quiet"}, {"pending", "incomplete"}}, critical: {{"ghost"}, {"overdue"}, {"quiet", "ghost"}, {"overdue", "quiet"}},
	} {
		for _, ids := range ids {
			var s status.Snapshot
			for _, id := range ids {
				s.Attention = append(s.Attention, status.Notice{ID: id})
			}
			if got, err := Attention(io.Discard, s); got != want || err != nil {
				t.Errorf("%q: %d, want %d (%v)", ids, got, want, err)
			}
			if got, err := Attention(full{}, s); err == nil || (len(ids) > 0) != (got == Unknown) {
				t.Errorf("%q, to a full disk: %d, %v", ids, got, err)
			}
		}
	}
}

// full is a file on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestSummary begins with the drain, if there is one, and an error of the output is one.
func TestSummary(t *testing.T) {
	for drain, want := range map[string]bool{"": false, "new disks": true} {
		var out bytes.Buffer
		s := status.Snapshot{Drain: drain, Live: []status.Job{{State: journal.Running}, {State: journal.Running}}}
		if err := Summary(&out, s); err != nil || strings.HasPrefix(out.String(), "Drained: ") != want || !strings.Contains(out.String(), "running  2\n") || !strings.Contains(out.String(), "2 live jobs") {
			t.Errorf("drain %q: %v: %s", drain, err, out.String())
		}
		if Summary(full{}, s) == nil {
			t.Error("a full disk is no error")
		}
	}
}

// TestCountersOfAnotherForm: what cannot be parsed as counters counts as none, also where a
// part of it could.
func TestCountersOfAnotherForm(t *testing.T) {
	name := filepath.Join(t.TempDir(), "counters")
	for text, want := range map[string]float64{`{"succeeded":5}`: 5, `{"succeeded":5,"read":7}`: 0, `{"succeeded":5`: 0} {
		testutil.Must(t, os.WriteFile(name, []byte(text), 0o600))
		if c, err := readCounters(name); err != nil || c.Succeeded != want {
			t.Errorf("%s: %v, %v, want %v", text, c.Succeeded, err, want)
		}
	}
	if _, err := readCounters(filepath.Dir(name)); err == nil {
		t.Error("a directory is no error")
	}
}

// TestJobOfADigest has the numbers of its account and project, where it has them.
func TestJobOfADigest(t *testing.T) {
	uid := job.UID(1000)
	for _, tt := range []struct {
		a                accounting
		account, project string
	}{{accounting{UID: &uid, ProjectID: 7}, "uid 1000", "project 7"}, {accounting{}, "", ""}} {
		if j := tt.a.job("h"); j.Account != tt.account || j.Project != tt.project || j.Host != "h" {
			t.Errorf("%+v: %q, %q", tt.a, j.Account, j.Project)
		}
	}
}

// TestDigestedSince: only the jobs that ended in the period, of lines that can be parsed.
func TestDigestedSince(t *testing.T) {
	yesterday := now.AddDate(0, 0, -1)
	js := journalWith(t, past{id: 1, account: "a", exit: "ok", end: yesterday.Add(-6 * time.Hour)}, past{id: 2, account: "a", exit: "ok", end: yesterday})
	testutil.Must(t, Digest(io.Discard, js[0], now))
	in := func(dir string) string {
		return filepath.Join(js[0].String(), "login1", dir, yesterday.Format(time.DateOnly)+".jsonl")
	}
	testutil.Must(t, os.Remove(in("days")))
	text, err := os.ReadFile(in("digest"))
	testutil.Must(t, err)
	testutil.Must(t, os.WriteFile(in("digest"), append([]byte("{\"job\":9}x\n{\"job\":\"8\",\"ended\":\"2999-01-01T00:00:00Z\",\"code\":\"x\"}\n"), text...), 0o640))
	for hours, want := range map[int]string{25: "2", 48: "1 2"} {
		jobs, unread, err := js.digested(now.Add(-time.Duration(hours) * time.Hour))
		var got []string
		for _, j := range jobs {
			got = append(got, j.ID)
		}
		if err != nil || unread != nil || strings.Join(got, " ") != want {
			t.Errorf("of %d hours: %q, want %q (%v, %v)", hours, got, want, unread, err)
		}
	}
}

// TestSizesOfDirectories: the newest size of each directory that has one.
func TestSizesOfDirectories(t *testing.T) {
	one := func(directory string, size int64) status.Job {
		return status.Job{Host: "h", Account: "a", Project: "p", Directory: directory, Disk: size}
	}
	for name, tt := range map[string]struct {
		newestFirst []status.Job
		directories int
		bytes       int64
	}{
		"two directories":     {[]status.Job{one("/a", 5), one("/b", 7)}, 2, 12},
		"the newest size":     {[]status.Job{one("/a", 5), one("/a", 7), one("/a", 9)}, 1, 5},
		"the newest measured": {[]status.Job{one("/a", 0), one("/a", 7), one("/a", 9)}, 1, 7},
		"without a directory": {[]status.Job{one("", 5), one("/a", 7)}, 1, 7},
	} {
		list := sizes(tt.newestFirst)
		if len(list) != 1 || list[0].Directories != tt.directories || list[0].Bytes != tt.bytes {
			t.Errorf("%s: %+v", name, *list[0])
		}
	}
}

// TestWaitsOfAReport are those of batch jobs, also of a digest, which has no number of them.
func TestWaitsOfAReport(t *testing.T) {
	var s sum
	for _, j := range []status.Job{{}, {BatchID: "7"}, {Waited: 3}, {BatchID: "8", Waited: 4}} {
		s.add(j)
	}
	if diff := cmp.Diff([]float64{0, 3, 4}, s.waits); diff != "" {
		t.Error(diff)
	}
}

// TestSpans: a span is an error where its stage failed, and a wait is one until the batch job
// starts or, if that was not seen, ends.
func TestSpans(t *testing.T) {
	for exit, want := range map[string]spanStatus{"ok": {}, "": {}, "build": {failedSpan, "why"}, "system": {failedSpan, "why"}} {
		if got := statusOf(exit, "why"); got != want {
			t.Errorf("%q: %+v, want %+v", exit, got, want)
		}
	}
	batch := func(phase string) journal.Event { return journal.At(now, journal.Batch, journal.Context{Phase: phase}) }
	end := journal.At(now, journal.StageEnd, journal.Context{Stage: "build_script", Exit: "ok"})
	begin := journal.At(now, journal.Stage, journal.Context{Stage: "build_script"})
	for name, tt := range map[string]struct {
		events []journal.Event
		want   string
	}{
		"started":             {[]journal.Event{batch("submitted"), batch("pending"), batch("running"), batch("ended")}, "batch wait"},
		"ended at once":       {[]journal.Event{batch("submitted"), batch("ended")}, "batch wait"},
		"pending":             {[]journal.Event{batch("submitted"), batch("pending")}, ""},
		"not submitted":       {[]journal.Event{batch("running"), batch("ended")}, ""},
		"a stage":             {[]journal.Event{begin, end}, "build_script"},
		"a stage without end": {[]journal.Event{begin}, ""},
		"an end alone":        {[]journal.Event{end}, ""},
	} {
		var got []string
		for _, s := range below(journal.Record{Events: tt.events}, "t", "p") {
			got = append(got, s.Name)
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
