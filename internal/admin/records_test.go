package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/test/harness/testutil"
)

// past is an ended job for a journal.
type past struct {
	id               job.ID
	uid              job.UID
	account, project string
	dir, exit        string
	end              time.Time
	bytes            int64
	partial          bool
}

func journalWith(t *testing.T, jobs ...past) Journals {
	t.Helper()
	dir := t.TempDir()
	testutil.Must(t, os.Chmod(dir, 0o750))
	js, err := ParseJournals([]string{dir})
	testutil.Must(t, err)
	j, err := journal.Open(js[0], "login1")
	testutil.Must(t, err)
	defer j.Close()
	for _, p := range jobs {
		l, err := j.Create(journal.Key{UID: p.uid, Project: 2, Job: p.id},
			journal.At(p.end.Add(-time.Minute), journal.Granted, journal.Context{Account: p.account, UID: &p.uid, Project: p.project, ProjectID: 2, Executor: "shell"}),
			journal.At(p.end.Add(-time.Minute), journal.Settled, journal.Context{Builds: p.dir}),
			journal.At(p.end, journal.StageEnd, journal.Context{Stage: "build_script", Exit: p.exit, CPU: 2}),
			journal.At(p.end, journal.Disk, journal.Context{Bytes: p.bytes, Files: 3, Partial: p.partial}))
		testutil.Must(t, err, l.End(journal.At(p.end, journal.Ended, journal.Context{})))
	}
	return js
}

// TestProjects (RQ/SPECS): the newest success and the newest failure of each project.
func TestProjects(t *testing.T) {
	hour := func(n int) time.Time { return now.Add(-time.Duration(n) * time.Hour) }
	js := journalWith(t,
		past{id: 1, account: "a", project: "g/p", exit: "ok", end: hour(9)}, past{id: 2, account: "a", project: "g/p", exit: "build", end: hour(5)},
		past{id: 3, account: "b", project: "g/p", exit: "ok", end: hour(3)}, past{id: 4, account: "b", project: "g/p", exit: "system", end: hour(2)},
		past{id: 5, account: "b", project: "x\x1b[2J", exit: "build", end: hour(1)})
	var out bytes.Buffer
	testutil.Must(t, Projects(&out, js, 24*time.Hour, true, now))
	var list []project
	testutil.Must(t, json.Unmarshal(out.Bytes(), &list))
	if len(list) != 2 || list[0].Jobs != 4 || list[0].Failed != 2 || !list[0].Succeeded.Equal(hour(3)) || !list[0].FailedAt.Equal(hour(2)) || list[0].Exit != "system" || list[0].Job != "4" || list[1].Succeeded != nil {
		t.Errorf("%s", out.Bytes())
	}
	out.Reset()
	testutil.Must(t, Projects(&out, js, 24*time.Hour, false, now))
	if strings.Contains(out.String(), "\x1b") || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("%q", out.String())
	}
}

// TestUnreadDay: what is printed of a period without one of its files is incomplete, and the
// command fails and names the file. A live job does not depend on it.
func TestUnreadDay(t *testing.T) {
	js := journalWith(t, past{id: 1, account: "a", project: "g/p", exit: "ok", end: now.Add(-time.Hour)})
	day := filepath.Join(js[0].String(), "login1", "days", now.Add(-30*time.Hour).UTC().Format(time.DateOnly)+".jsonl")
	if files, _ := filepath.Glob(filepath.Dir(day) + "/*.jsonl"); len(files) != 1 {
		t.Fatalf("the days of the journal are %v, not in %s", files, filepath.Dir(day))
	}
	testutil.Must(t, os.WriteFile(day, nil, 0o600), os.Chmod(day, 0o666))
	const since = 48 * time.Hour
	jobs := func(o JobsOptions) error {
		o.Journals, o.Filter.Since = js, since
		return Jobs(&bytes.Buffer{}, o, now)
	}
	var out bytes.Buffer
	for name, err := range map[string]error{
		"ended":      jobs(JobsOptions{Ended: true}),
		"ended JSON": jobs(JobsOptions{Ended: true, JSON: true}),
		"refused":    jobs(JobsOptions{Refused: true}),
		"projects":   Projects(&out, js, since, false, now),
		"report":     Report(&bytes.Buffer{}, ReportOptions{Journals: js, By: []string{"account"}, Since: since}, now),
		"show":       Show(&bytes.Buffer{}, js, 99, since, false, now),
	} {
		if err == nil || !strings.Contains(err.Error(), day) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !strings.Contains(out.String(), "g/p") {
		t.Errorf("what can be read is not printed: %q", out.String())
	}
	testutil.Must(t, jobs(JobsOptions{}), Show(&bytes.Buffer{}, js, 1, since, false, now))
}

// TestDU (MON/DU): of each directory the newest size counts, and one that was not measured to its
// end is marked.
func TestDU(t *testing.T) {
	js := journalWith(t,
		past{id: 1, account: "a", project: "g/p", exit: "ok", end: now.Add(-9 * time.Hour), dir: "/b/0", bytes: 1 << 30},
		past{id: 2, account: "a", project: "g/p", exit: "ok", end: now.Add(-5 * time.Hour), dir: "/b/0", bytes: 1 << 20},
		past{id: 3, account: "a", project: "g/p", exit: "ok", end: now.Add(-4 * time.Hour), dir: "/b/1", bytes: 2 << 20, partial: true},
		past{id: 4, account: "b", project: "g/p", exit: "ok", end: now.Add(-3 * time.Hour), dir: "/c/0", bytes: 1 << 10},
		past{id: 5, account: "b", project: "g/p", exit: "ok", end: now.Add(-2 * time.Hour), dir: "/c/1"})
	var out bytes.Buffer
	testutil.Must(t, DU(&out, js, 24*time.Hour, true, now))
	var list []occupied
	testutil.Must(t, json.Unmarshal(out.Bytes(), &list))
	if len(list) != 2 || list[0].Account != "a" || list[0].Bytes != 3<<20 || list[0].Directories != 2 || list[0].Files != 6 || !list[0].Partial || list[1].Bytes != 1<<10 || list[1].Partial {
		t.Errorf("%s", out.Bytes())
	}
	out.Reset()
	testutil.Must(t, DU(&out, js, 24*time.Hour, false, now))
	if !strings.Contains(out.String(), ">3.0 MiB") {
		t.Errorf("%s", out.String())
	}
}

// TestDigest (LORRY/REMOVE-JOB): a day before today gets its digest once, with figures and without names. A
// report has the same sums when the day itself is gone.
func TestDigest(t *testing.T) {
	var jobs []past
	for n := range 6 {
		jobs = append(jobs, past{id: job.ID(n + 1), uid: 1001, account: "alice", project: "secret/project", exit: []string{"ok", "build"}[n%2], end: now.AddDate(0, 0, -n), dir: "/home/alice", bytes: 1 << 20})
	}
	js := journalWith(t, jobs...)
	report := func() string {
		var out bytes.Buffer
		testutil.Must(t, Report(&out, ReportOptions{Journals: js, By: []string{"exit"}, Since: 400 * 24 * time.Hour, CSV: true}, now))
		return out.String()
	}
	before := report()
	for _, want := range []int{5, 1} {
		var out bytes.Buffer
		if err := Digest(&out, js[0], now); err != nil || strings.Count(out.String(), "\n") != want {
			t.Errorf("%v: %s", err, out.String())
		}
	}
	if after := report(); after != before {
		t.Errorf("days and digests are counted:\n%s, before\n%s", after, before)
	}
	days, err := filepath.Glob(js[0].String() + "/login1/days/*")
	testutil.Must(t, err)
	for _, day := range days[:len(days)-1] {
		testutil.Must(t, os.Remove(day))
	}
	if after := report(); after != before {
		t.Errorf("of digests alone:\n%s, before\n%s", after, before)
	}
	digests, err := filepath.Glob(js[0].String() + "/login1/digest/*")
	testutil.Must(t, err)
	for _, file := range digests {
		text, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(text), "alice") || strings.Contains(string(text), "secret") || !strings.Contains(string(text), `"uid":1001`) {
			t.Errorf("%v: %s", err, text)
		}
	}
	if len(digests) != 5 {
		t.Errorf("%q", digests)
	}
}

// TestForgetOfALiveJob: the account's live jobs have to end first, and an unknown account
// is no error.
func TestForgetOfALiveJob(t *testing.T) {
	js := journalWith(t, past{id: 1, account: "alice", exit: "ok", end: now})
	j, err := journal.Open(js[0], "login1")
	testutil.Must(t, err)
	defer j.Close()
	l, err := j.Create(journal.Key{UID: 7, Project: 2, Job: 9}, journal.At(now, journal.Granted, journal.Context{Account: "alice"}))
	testutil.Must(t, err)
	alice, err := job.ParseUsername("alice")
	testutil.Must(t, err)
	var out bytes.Buffer
	if err := Forget(&out, js[0], alice); err == nil || !strings.Contains(err.Error(), "job 9 (alice) is live") {
		t.Errorf("%v: %s", err, out.String())
	}
	testutil.Must(t, l.End(journal.At(now, journal.Ended, journal.Context{})))
	for _, want := range []string{fmt.Sprint("removed ", 5+2, " lines about alice."), "nothing to do"} {
		out.Reset()
		if err := Forget(&out, js[0], alice); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%v: %s, want %s", err, out.String(), want)
		}
	}
}
