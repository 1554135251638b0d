package journal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// endJob writes an ended job of an account.
func endJob(t *testing.T, j *Journal, id job.ID, account, login string, at time.Time) {
	t.Helper()
	uid := job.UID(1001)
	l, err := j.Create(Key{UID: uid, Project: 12, Job: id},
		At(at, Granted, Context{Account: account, UID: &uid, Login: login, Project: "home/" + account}), At(at, StageEnd, Context{Stage: "config", Exit: "ok"}))
	testutil.Must(t, err, l.End(At(at.Add(time.Minute), Ended, Context{})))
}

// TestForget (LORRY/REMOVE-JOB): nothing of the person is left in the days, also of refusals by login and
// of malformed lines; the jobs of others are unchanged, also one of the same number, and
// lines behind an offset stay there.
func TestForget(t *testing.T) {
	j, p := open(t)
	at := start.Add(-time.Hour)
	endJob(t, j, 1, "alice", "alice.gl", at)
	endJob(t, j, 1, "bob", "bob.gl", at.Add(time.Second)) // of another server
	endJob(t, j, 2, "bob", "bob.gl", at.Add(time.Second))
	endJob(t, j, 3, "alice", "alice.gl", at.AddDate(0, 0, -1))
	testutil.Must(t,
		j.Refuse(At(at, Refused, Context{Job: 5, Login: "alice.gl", Rule: "x"})), j.Refuse(At(at, Refused, Context{Job: 6, Account: "alice"})),
		j.Refuse(At(at, Refused, Context{Job: 7, Login: "carol"})))
	name := filepath.Join(p.String(), "login1", dayDir, "2026-11-28.jsonl")
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	testutil.Must(t, err)
	_, err = file.WriteString("{\"name\":\"granted\",\"context\":{\"account\":\"alice\n{\"name\":\"granted\",\"cont")
	testutil.Must(t, err, file.Close())
	before, err := os.ReadFile(name)
	testutil.Must(t, err)
	who := Person{Account: "alice", Logins: map[string]bool{}}
	testutil.Must(t, who.LoginsOf(p, "login1"))
	for _, want := range []int{2*3 + 2 + 1, 0} {
		if lines, err := Forget(p, "login1", who); err != nil || lines != want {
			t.Errorf("%d lines, want %d: %v", lines, want, err)
		}
	}
	after, err := os.ReadFile(name)
	testutil.Must(t, err)
	if len(after) != len(before) || !strings.HasSuffix(string(after), "{\"name\":\"granted\",\"cont") {
		t.Errorf("%d bytes, had %d: %s", len(after), len(before), after)
	}
	days, err := filepath.Glob(filepath.Join(p.String(), "*", "*", "*"))
	testutil.Must(t, err)
	for _, file := range days {
		if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), "alice") {
			t.Errorf("%s: %v: %s", file, err, text)
		}
	}
	if r := day(t, p); len(r) != 3 {
		t.Errorf("%+v", r)
	}
}

// TestDigests: each day before today has one, that is written once.
func TestDigests(t *testing.T) {
	j, p := open(t)
	for n := range 3 {
		endJob(t, j, job.ID(n+1), "alice", "a", start.AddDate(0, 0, -n-2))
	}
	today := start.Format(time.DateOnly)
	days, err := Undigested(p, "login1", today)
	if err != nil || len(days) != 3 {
		t.Fatalf("%q, %v", days, err)
	}
	testutil.Must(t, j.WriteDigest(days[0], []byte("x\n")))
	if left, err := Undigested(p, "login1", today); err != nil || len(left) != 2 {
		t.Errorf("%q, %v", left, err)
	}
	if text, err := ReadDigest(p, "login1", days[0]); err != nil || string(text) != "x\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestIncompleteLine (HEPTAPOD/STATE): what a full disk left at the end of a file does not hide the next
// event.
func TestIncompleteLine(t *testing.T) {
	j, p := open(t)
	l, err := j.Create(key, At(start, Granted, Context{Account: "alice"}))
	testutil.Must(t, err)
	half := func(name string) {
		file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		testutil.Must(t, err)
		_, err = file.WriteString(`{"timestamp":1,"name":"st`)
		testutil.Must(t, err, file.Close())
	}
	half(filepath.Join(p.String(), "login1", liveDir, key.String()))
	testutil.Must(t, l.Append(At(start, Stage, Context{Stage: "config"}), At(start, StageEnd, Context{Stage: "config"})))
	if r := lives(t, p); len(r) != 1 || len(r[0].Events) != 3 {
		t.Errorf("%+v", r)
	}
	name := filepath.Join(p.String(), "login1", dayDir, start.Format(time.DateOnly)+".jsonl")
	testutil.Must(t, os.Mkdir(filepath.Dir(name), 0o750), os.WriteFile(name, []byte("\n"), 0o640))
	half(name)
	testutil.Must(t, l.End(At(start, Ended, Context{})))
	if r := day(t, p); len(r) != 1 || len(r[0].Events) != 4 {
		t.Errorf("%+v", r)
	}
}

// TestWithoutDoubles: of a job that two days have, the later record counts.
func TestWithoutDoubles(t *testing.T) {
	record := func(id job.ID, at int, names ...Name) Record {
		var r Record
		for _, n := range names {
			r.Events = append(r.Events, At(start.Add(time.Duration(at)*time.Second), n, Context{Job: id}))
		}
		return r
	}
	list := WithoutDoubles([]Record{record(1, 0, Granted, Ended), record(2, 0, Granted, Ended), record(3, 0, Refused), record(3, 0, Refused), record(1, 0, Granted, Ended, Reaped), record(1, 5, Granted)})
	if len(list) != 5 || len(list[0].Events) != 2 || list[0].Events[0].Context.Job != 2 || len(list[3].Events) != 3 {
		t.Errorf("%+v", list)
	}
}
