package journal

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

// TestOwnerAndReason: what a record has of its runner, and of the last clean-up.
func TestOwnerAndReason(t *testing.T) {
	owner := proctree.Process{PID: 7, Start: 8, Boot: "b"}
	of := At(start, Granted, Context{Owner: &owner})
	failed := Unreaped(start, "system", errors.New("it is busy"))
	for name, tt := range map[string]struct {
		events []Event
		owner  *proctree.Process
		reason string
	}{
		"nothing":              {nil, nil, ""},
		"without an owner":     {[]Event{At(start, Granted, Context{})}, nil, ""},
		"with one":             {[]Event{of, At(start, StageEnd, Context{Stage: "config", Reason: "killed"})}, &owner, ""},
		"a clean-up failed":    {[]Event{of, failed}, &owner, "it is busy"},
		"another stage failed": {[]Event{of, failed, At(start, StageEnd, Context{Stage: "config", Reason: "killed"})}, &owner, ""},
	} {
		r := Record{Events: tt.events}
		if p, ok := r.Owner(); ok != (tt.owner != nil) || ok && p != owner {
			t.Errorf("%s: the owner is %+v, %v", name, p, ok)
		}
		if got := r.Unsettled(); got != tt.reason {
			t.Errorf("%s: %q, want %q", name, got, tt.reason)
		}
	}
}

// TestTakenMeanwhile: the file that was opened is the job's no more once it has the lock.
func TestTakenMeanwhile(t *testing.T) {
	for name, meanwhile := range map[string]func(j *Journal, path string) error{
		"ended": func(_ *Journal, path string) error { return os.Remove(path) },
		"ended, and there is another one": func(j *Journal, path string) error {
			l, err := j.Create(key)
			return errors.Join(err, os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o640), l.Close())
		},
	} {
		j, p := open(t)
		l, err := j.Create(key, At(start, Granted, Context{}))
		testutil.Must(t, err, l.Close())
		file, err := j.file(liveDir, key.String(), 0)
		testutil.Must(t, err)
		defer file.Close()
		testutil.Must(t, meanwhile(j, filepath.Join(p.String(), "login1", liveDir, key.String())))
		if err := j.lockAlone(key, file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	j, _ := open(t)
	own := []Key{{1, 12, 4711}, {2, 12, 4711}}
	for _, k := range append(own, Key{1, 13, 4711}, Key{1, 12, 4712}) {
		l, err := j.Create(k)
		testutil.Must(t, err)
		defer l.Close()
	}
	got, err := j.Keys(12, 4711)
	slices.SortFunc(got, func(a, b Key) int { return int(a.UID) - int(b.UID) })
	if !slices.Equal(got, own) || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if n, err := j.CountLive(); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// TestWaits: a job waits while a cap is reached, and readers find it; ghosts are looked for
// only then.
func TestWaits(t *testing.T) {
	j, p := open(t)
	looks := 0
	c := &Candidate{Key: key, Caps: Caps{Total: 1}, Held: []Event{At(start, Held, Context{})}, Ghosts: func() map[Key]bool { looks++; return nil }}
	other, err := j.Create(Key{1, 1, 1})
	testutil.Must(t, err)
	if _, full, err := j.Admit(c); full == nil || err != nil || !c.Waits() || looks != 1 {
		t.Fatalf("%+v, %v, waits %v, %d looks for ghosts", full, err, c.Waits(), looks)
	}
	if r, err := WaitingJobs(p, "login1"); err != nil || len(r) != 1 || r[0].Key != key || !r[0].Waiting || !r[0].Live {
		t.Errorf("%+v, %v", r, err)
	}
	testutil.Must(t, other.End(At(start, Ended, Context{})))
	l, full, err := j.Admit(c)
	if full != nil || err != nil || c.Waits() || looks != 1 {
		t.Fatalf("%+v, %v, waits %v, %d looks for ghosts", full, err, c.Waits(), looks)
	}
	testutil.Must(t, l.Close())
	for caps, want := range map[Caps]bool{{}: false, {Account: 1}: true, {Project: 1}: true, {Total: 1}: true} {
		if caps.Set() != want {
			t.Errorf("%+v: %v", caps, !want)
		}
	}
}

// TestOneCounts: while one process counts no other does, and waits for a limited time.
func TestOneCounts(t *testing.T) {
	j, _ := open(t)
	held, err := j.lockAdmission()
	testutil.Must(t, err)
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if _, err := j.lockAdmission(); err == nil || !strings.Contains(err.Error(), "other processes count") {
			t.Error(err)
		}
		if took := time.Since(begun); took < admissionLimit || took > admissionLimit+time.Second {
			t.Errorf("after %v", took)
		}
		time.AfterFunc(time.Second, func() { held.Close() })
		next, err := j.lockAdmission()
		testutil.Must(t, err, next.Close())
	})
}

// TestOwners: root's files and those of the one account are used.
func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "file")
	file, err := os.Create(path)
	testutil.Must(t, err)
	defer file.Close()
	for _, tt := range []struct {
		of, owner int
		want      bool
	}{{0, 0, true}, {0, 1001, true}, {1001, 1001, true}, {1001, 0, false}, {1002, 1001, false}} {
		testutil.Must(t, os.Chown(path, tt.of, 0))
		if err := checkOwnedBy(tt.owner, int(file.Fd()), path, unix.S_IFREG); (err == nil) != tt.want {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// TestLiveFile has the mode for its group, whatever the umask, and whole lines.
func TestLiveFile(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	j, p := open(t)
	l, err := j.Create(key, At(start.Add(-time.Hour), Stage, Context{}))
	testutil.Must(t, err)
	defer l.Close()
	if !l.Began().IsZero() {
		t.Errorf("it began at %v", l.Began())
	}
	testutil.Must(t, l.Append(At(start, Granted, Context{})), l.Append(At(start.Add(time.Hour), Stage, Context{})))
	if !l.Began().Equal(start) {
		t.Errorf("it began at %v, want %v", l.Began(), start)
	}
	path := filepath.Join(p.String(), "login1", liveDir, key.String())
	text, err := os.ReadFile(path)
	if err != nil || bytes.Count(text, []byte("\n")) != 3 || bytes.Contains(text, []byte("\n\n")) {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != fileMode {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if r := lives(t, p); len(r) != 1 || time.Since(r[0].Changed).Abs() > time.Hour {
		t.Errorf("%+v", r)
	}
}

// TestHostsAndDays: what is no host and no day is passed over.
func TestHostsAndDays(t *testing.T) {
	j, p := open(t)
	testutil.Must(t, SetMark(p, Drain, Mark{}), j.Refuse(At(start, Refused, Context{Job: 1})))
	top, days := p.String(), filepath.Join(p.String(), "login1", dayDir)
	testutil.Must(t, os.Mkdir(filepath.Join(top, "login2"), 0o750), os.Mkdir(filepath.Join(top, ".hidden"), 0o750),
		os.WriteFile(filepath.Join(top, "login3"), nil, 0o640), os.Mkdir(filepath.Join(days, "2026-11-27.jsonl"), 0o750),
		os.WriteFile(filepath.Join(days, "2026-11-26"), nil, 0o640), os.WriteFile(filepath.Join(days, "today.jsonl"), nil, 0o640))
	if hosts, err := Hosts(p); err != nil || !slices.Equal(hosts, []string{"login1", "login2"}) {
		t.Errorf("%q, %v", hosts, err)
	}
	names, err := Days(p, "login1")
	if err != nil || !slices.Equal(names, []string{"2026-11-28.jsonl"}) {
		t.Errorf("%q, %v", names, err)
	}
	whole, err := ReadDay(p, "login1", names[0], 0, 1000)
	part, err2 := ReadDay(p, "login1", names[0], 3, 5)
	if err != nil || err2 != nil || len(whole) < 10 || string(part) != string(whole[3:8]) {
		t.Errorf("%q, %v; %q, %v", whole, err, part, err2)
	}
	if text, err := ReadDay(p, "login1", "2026-11-26.jsonl", 0, 1000); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q, %v", text, err)
	}
	testutil.Must(t, os.RemoveAll(top))
	if hosts, err := Hosts(p); err == nil {
		t.Errorf("without a journal: %q", hosts)
	}
}

func TestParseEvents(t *testing.T) {
	const event = `{"timestamp":1,"name":"stage"}`
	for text, want := range map[string]int{
		"": 0, event: 0, event + "\n": 1, event + "\n" + event + "\n": 2, event + "\n" + event: 1, `{"timestamp":1}` + "\n": 0, "x\n" + event + "\n": 1,
		event + strings.Repeat(" ", maxLine-len(event)-1) + "\n": 1, event + strings.Repeat(" ", maxLine-len(event)) + "\n": 0,
	} {
		if got := parseEvents([]byte(text)); len(got) != want {
			t.Errorf("%.80q: %d events, want %d", text, len(got), want)
		}
	}
}

// TestRecordsOfADay: a job of the same id begins with a Granted event after the end of
// another one.
func TestRecordsOfADay(t *testing.T) {
	for _, tt := range []struct {
		names []Name
		want  []int // the events of each record
	}{
		{[]Name{Granted, Granted, Stage}, []int{3}},
		{[]Name{Granted, Ended, Stage}, []int{3}},
		{[]Name{Granted, Ended, Granted}, []int{2, 1}},
		{[]Name{Granted, Reaped, Granted}, []int{2, 1}},
	} {
		var text strings.Builder
		for i, name := range tt.names {
			line, err := At(start.Add(time.Duration(i)*time.Second), name, Context{Job: 1}).line()
			testutil.Must(t, err)
			text.Write(line)
		}
		var got []int
		for _, r := range Day("h", []byte(text.String())) {
			got = append(got, len(r.Events))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v: records of %v events, want %v", tt.names, got, tt.want)
		}
	}
}

// TestWhole: of a day that is being written, at any byte, only what has its end counts.
func TestWhole(t *testing.T) {
	var text, whole []byte
	for _, e := range []Event{
		At(start, Refused, Context{Job: 1}), At(start, Granted, Context{Job: 2}), At(start, Stage, Context{Job: 2}), At(start, Ended, Context{Job: 2}),
		At(start, Granted, Context{Job: 3}), At(start, Reaped, Context{Job: 3}), At(start, Granted, Context{Job: 4}), At(start, Stage, Context{Job: 4}),
	} {
		line, err := e.line()
		testutil.Must(t, err)
		for n := range line {
			if got := Whole(append(text, line[:n]...)); string(got) != string(whole) {
				t.Fatalf("%q of %q", got, append(text, line[:n]...))
			}
		}
		if text = append(text, line...); e.Name != Granted && e.Name != Stage {
			whole = slices.Clone(text)
		}
	}
	blank := append(whole, strings.Repeat(" ", 20)+"\n"...)
	if got := Whole(append(blank, "{"...)); string(got) != string(blank) {
		t.Errorf("what was forgotten counts as unfinished: %q", got[len(whole):])
	}
}

// TestLogins: those of the account's jobs, and of no other account.
func TestLogins(t *testing.T) {
	j, p := open(t)
	endJob(t, j, 1, "alice", "alice.gl", start)
	endJob(t, j, 2, "alice", "", start)
	endJob(t, j, 3, "bob", "bob.gl", start)
	testutil.Must(t, j.Refuse(At(start, Refused, Context{Account: "alice", Login: "refused.gl"})))
	who := Person{Account: "alice", Logins: map[string]bool{}}
	testutil.Must(t, who.LoginsOf(p, "login1"))
	if diff := cmp.Diff(map[string]bool{"alice.gl": true}, who.Logins); diff != "" {
		t.Error(diff)
	}
	for line, want := range map[string]bool{
		`{"name":"ended"}`: false, `{}`: true, `{"name":"ended","timestamp":"x"}`: true, `{"name":"refused","context":{"account":"alice"}}`: true,
	} {
		if got := who.has([]byte(line), map[job.ID]bool{}); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

func TestShortened(t *testing.T) {
	for _, n := range []int{0, 10, maxField - 5, maxField - 4, maxField, maxField + 1, 3 * maxField} {
		line, err := At(start, Stage, Context{Reason: strings.Repeat("x", n)}).line()
		testutil.Must(t, err)
		text := parseEvents(line)[0].Context.Reason
		if Shortened(text) != (n > maxField) {
			t.Errorf("%d bytes became %d, shortened: %v", n, len(text), Shortened(text))
		}
	}
}

// TestTemporaryOfAnother: another file has the name by the time that this one is locked.
func TestTemporaryOfAnother(t *testing.T) {
	dir, fd := directory(t)
	for name, meanwhile := range map[string]func(path string) error{
		"the same":    func(string) error { return nil },
		"removed":     os.Remove,
		"another one": func(p string) error { return errors.Join(os.WriteFile(p+".new", nil, 0o600), os.Rename(p+".new", p)) },
	} {
		path := filepath.Join(dir, "x")
		file, err := os.Create(path)
		testutil.Must(t, err, meanwhile(path))
		defer file.Close()
		if err := checkTemporary(int(file.Fd()), fd, "x"); (err == nil) != (name == "the same") || err != nil && err != unix.EWOULDBLOCK {
			t.Errorf("%s: %v", name, err)
		}
	}
}
