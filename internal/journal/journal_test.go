package journal

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

var start = time.Date(2026, 11, 28, 23, 59, 59, 0, time.UTC)

func open(t *testing.T) (*Journal, job.AbsPath) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	p, err := job.ParseAbsPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	j, err := Open(p, "login1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, p
}

var key = Key{UID: 1001, Project: 12, Job: 4711}

func lives(t *testing.T, p job.AbsPath) []Record {
	t.Helper()
	records, err := LiveJobs(p, "login1")
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func day(t *testing.T, p job.AbsPath) []Record {
	t.Helper()
	var records []Record
	days, err := Days(p, "login1")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range days {
		text, err := os.ReadFile(filepath.Join(p.String(), "login1", dayDir, name))
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, Day("login1", text)...)
	}
	return records
}

func TestLifeOfAJob(t *testing.T) {
	j, p := open(t)
	l, err := j.Create(key, At(start, Granted, Context{Account: "alice", Until: start.Add(time.Hour).Unix()}))
	testutil.Must(t, err)
	r := lives(t, p)
	if n, err := j.CountLive(); n != 1 || err != nil {
		t.Errorf("%d live jobs, %v", n, err)
	}
	if len(r) != 1 || r[0].Key != key || !r[0].Running || StateOf(r[0], false, start) != Running {
		t.Fatalf("while a stage runs: %+v", r)
	}
	testutil.Must(t, l.Close())
	if r = lives(t, p); r[0].Running || StateOf(r[0], false, start) != Between {
		t.Fatalf("between stages: %+v", r)
	}
	l, err = j.Resume(key, At(start.Add(time.Second), Stage, Context{Stage: "build_script"}))
	testutil.Must(t, err)
	testutil.Must(t, l.End(At(start.Add(2*time.Second), Ended, Context{Exit: "ok"})))
	if r = lives(t, p); len(r) != 0 {
		t.Fatalf("after the end: %+v", r)
	}
	r = day(t, p)
	if len(r) != 1 || len(r[0].Events) != 3 || r[0].Events[0].Context.Account != "alice" || r[0].Events[2].Context.Job != 4711 {
		t.Errorf("%+v", r)
	}
	if _, err := j.Resume(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the ended job can be continued: %v", err)
	}
}

// TestKilledStageIsNotRunning: a killed process leaves no lock. The test runs itself as
// the stage.
func TestKilledStageIsNotRunning(t *testing.T) {
	if dir := os.Getenv("JOURNAL_DIR"); dir != "" {
		p, err := job.ParseAbsPath(dir)
		testutil.Must(t, err)
		j, err := Open(p, "login1")
		testutil.Must(t, err)
		_, err = j.Create(key, At(start, Granted, Context{}))
		testutil.Must(t, err)
		testutil.Must(t, syscall.Kill(os.Getpid(), syscall.SIGKILL))
		select {}
	}
	_, p := open(t)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledStageIsNotRunning$")
	cmd.Env = append(os.Environ(), "JOURNAL_DIR="+p.String())
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.Exited() {
		t.Fatalf("it was not killed: %s", out)
	}
	if r := lives(t, p); len(r) != 1 || r[0].Running || StateOf(r[0], true, start) != Ghost {
		t.Errorf("%+v", r)
	}
}

func TestStateOf(t *testing.T) {
	granted := []Event{At(start, Granted, Context{Until: start.Add(time.Hour).Unix()}), At(start, Settled, Context{})}
	for _, tt := range []struct {
		name    string
		running bool
		gone    bool
		after   time.Duration
		want    State
	}{
		{"a stage runs", true, false, time.Minute, Running},
		{"a stage runs, and the runner is gone", true, true, time.Minute, Running},
		{"a stage runs too long", true, false, 2 * time.Hour, Overdue},
		{"between", false, false, time.Minute, Between},
		{"quiet", false, false, 16 * time.Minute, Quiet},
		{"the runner is gone", false, true, time.Second, Ghost},
		{"over its time", false, false, 2 * time.Hour, Ghost},
	} {
		if got := StateOf(Record{Events: granted, Running: tt.running}, tt.gone, start.Add(tt.after)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestPlanted (SEC/API): files that another account could have placed are refused, and nothing
// outside the journal is written.
func TestPlanted(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	testutil.Must(t, os.WriteFile(outside, nil, 0o600))
	for name, plant := range map[string]func(path string) error{
		"a symbolic link": func(path string) error { return os.Symlink(outside, path) },
		"a hard link":     func(path string) error { return os.Link(outside, path) },
		"a FIFO":          func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"writable by all": func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o666), os.Chmod(path, 0o666)) },
		"of another owner": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o640), os.Chown(path, 65534, 65534))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "of another owner" && os.Geteuid() != 0 {
				t.Skip("only root can give files away")
			}
			j, p := open(t)
			live := filepath.Join(p.String(), "login1", liveDir)
			testutil.Must(t, os.Mkdir(live, 0o750))
			testutil.Must(t, plant(filepath.Join(live, key.String())))
			if l, err := j.Create(key, At(start, Granted, Context{})); err == nil {
				t.Errorf("it is used: %v", l.file.Name())
			}
			if info, err := os.Stat(outside); err != nil || info.Size() != 0 {
				t.Errorf("outside was written: %v, %v", info, err)
			}
		})
	}
}

// TestUnread: a live job whose file cannot be read is listed with the reason, as its jobs are
// counted; what another account put there, or what is no file, is not.
func TestUnread(t *testing.T) {
	for name, tt := range map[string]struct {
		damage func(path string) error
		want   string // the reason, "" for a file that is not listed
	}{
		"writable by all":  {func(path string) error { return os.Chmod(path, 0o666) }, "lets others write it"},
		"a second link":    {func(path string) error { return os.Link(path, path+".copy") }, "it has 2 hard links"},
		"of another owner": {func(path string) error { return os.Chown(path, 65534, 65534) }, ""},
		"a link":           {func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/etc/hostname", path)) }, ""},
		"a directory":      {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, ""},
		"removed":          {os.Remove, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "of another owner" && os.Geteuid() != 0 {
				t.Skip("only root can give files away")
			}
			j, p := open(t)
			for _, k := range []Key{key, {1, 2, 3}} {
				l, err := j.Create(k, At(start, Granted, Context{}))
				testutil.Must(t, err, l.Close())
			}
			path := filepath.Join(p.String(), "login1", liveDir, key.String())
			testutil.Must(t, tt.damage(path))
			var unread []Record
			all := lives(t, p)
			for _, r := range all {
				if r.Unread != nil {
					unread = append(unread, r)
				}
			}
			if len(all)-len(unread) != 1 {
				t.Errorf("%+v", all)
			}
			if tt.want == "" {
				if len(unread) != 0 {
					t.Errorf("%+v", unread)
				}
				return
			}
			if len(unread) != 1 || unread[0].Key != key || unread[0].Last().IsZero() || StateOf(unread[0], true, start) != Unread ||
				!strings.Contains(unread[0].Unread.Error(), path) || !strings.Contains(unread[0].Unread.Error(), tt.want) {
				t.Errorf("%+v", unread)
			}
		})
	}
}

func TestJournalOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	p, err := job.ParseAbsPath(dir)
	testutil.Must(t, err)
	testutil.Must(t, os.Chmod(dir, 0o770))
	if _, err := Open(p, "login1"); err == nil || !strings.Contains(err.Error(), "lets others write") {
		t.Error(err)
	}
	testutil.Must(t, os.Chmod(dir, 0o750))
	for _, host := range []string{"", "a/b", ".", "..", ".hidden", "a\x00", "a\nb", strings.Repeat("x", 65)} {
		if _, err := Open(p, host); err == nil {
			t.Errorf("host %q is taken", host)
		}
	}
	if _, err := Open(p, "../x"); err == nil {
		t.Error("a host leads out of the journal")
	}
}

func TestFullLiveFile(t *testing.T) {
	j, p := open(t)
	l, err := j.Create(key, At(start, Granted, Context{}))
	testutil.Must(t, err)
	for range 2000 {
		testutil.Must(t, l.Append(At(start, Batch, Context{Reason: strings.Repeat("x", 200)})))
	}
	info, err := os.Stat(filepath.Join(p.String(), "login1", liveDir, key.String()))
	testutil.Must(t, err)
	if info.Size() > maxLiveFile {
		t.Errorf("%d bytes", info.Size())
	}
	r := lives(t, p)[0]
	if e := r.Events[len(r.Events)-1]; e.Name != Truncated || e.Context.Job != key.Job {
		t.Errorf("the last event is %+v", e)
	}
	testutil.Must(t, l.End(At(start, Ended, Context{})))
	text, err := ReadDay(p, "login1", dayFile(start), 0, LongestDay)
	testutil.Must(t, err)
	if got := len(Whole(text)); got != len(text) || got == 0 {
		t.Errorf("%d bytes of %d of its record count", got, len(text))
	}
}

func TestHostileText(t *testing.T) {
	j, p := open(t)
	l, err := j.Create(key, At(start, Granted, Context{Project: "a\x1b[2J\n{\"name\":\"ended\"}", Ref: strings.Repeat("ü", 4096), Reason: string([]byte{0xff, 0})}))
	testutil.Must(t, err)
	testutil.Must(t, l.Close())
	r := lives(t, p)
	if len(r[0].Events) != 1 || strings.ContainsAny(r[0].Events[0].Context.Project, "\x1b\n") || len(r[0].Events[0].Context.Ref) > maxField+4 {
		t.Errorf("%+v", r)
	}
}

func TestRefusals(t *testing.T) {
	j, p := open(t)
	testutil.Must(t, j.Refuse(At(start, Refused, Context{Job: 1, Rule: "user_blocklist"})))
	testutil.Must(t, j.Refuse(At(start.Add(2*time.Second), Refused, Context{Job: 1, Rule: "user_blocklist"})))
	if r := day(t, p); len(r) != 2 || r[0].Events[0].Context.Rule != "user_blocklist" {
		t.Errorf("%+v", r)
	}
	if days, err := Days(p, "login1"); err != nil || len(days) != 2 || days[0] != "2026-11-28.jsonl" {
		t.Errorf("%v, %v", days, err)
	}
	name := filepath.Join(p.String(), "login1", dayDir, "2026-11-28.jsonl")
	testutil.Must(t, os.Truncate(name, maxDayFile+1))
	testutil.Must(t, j.Refuse(At(start, Refused, Context{})))
	if info, err := os.Stat(name); err != nil || info.Size() != maxDayFile+1 {
		t.Errorf("a full day grows: %v, %v", info, err)
	}
}

// TestDay (RQ/ALLJOBS): interrupted writes leave incomplete and duplicate lines.
func TestDay(t *testing.T) {
	line := func(at int, name Name, id job.ID) string {
		text, err := At(start.Add(time.Duration(at)*time.Second), name, Context{Job: id}).line()
		testutil.Must(t, err)
		return string(text)
	}
	first := line(0, Granted, 1) + line(1, Stage, 1) + line(2, Ended, 1)
	text := first + line(0, Granted, 2) + `{"timestamp":1,"na` + "\n" + first + line(9, Granted, 1) + line(10, Ended, 1) + `{"timestamp":2,"name":"x"`
	r := Day("h", []byte(text))
	if len(r) != 3 || len(r[0].Events) != 3 || len(r[1].Events) != 1 || len(r[2].Events) != 2 {
		t.Errorf("%+v", r)
	}
}

func TestParseKey(t *testing.T) {
	if k, err := ParseKey(key.String()); err != nil || k != key {
		t.Errorf("%v, %v", k, err)
	}
	for _, name := range []string{"", "a", "1.2", "1.2.3.4", "01.2.3", "1.2.x", "-1.2.3", "4294967296.1.1", "1.2.3 "} {
		if k, err := ParseKey(name); err == nil {
			t.Errorf("%q is %v", name, k)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("{\"timestamp\":1,\"name\":\"granted\",\"context\":{\"job\":1}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, r := range Day("h", text) {
			StateOf(r, false, start)
			if len(r.Events) == 0 {
				t.Error("a record without an event")
			}
		}
	})
}

// BenchmarkStage is what the journal adds to a stage between config and cleanup: both
// marks looked for, the file opened and locked, and one event at each end.
func BenchmarkStage(b *testing.B) {
	dir := b.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		b.Fatal(err)
	}
	p := testutil.AbsPath(b, dir)
	first, err := Open(p, "login1")
	if err != nil {
		b.Fatal(err)
	}
	l, err := first.Create(key, At(start, Granted, Context{Project: "group/project"}))
	if err != nil {
		b.Fatal(err)
	}
	name, size := l.file.Name(), int64(4<<10)
	testutil.Must(b, l.Close())
	for b.Loop() {
		j, err := Open(p, "login1")
		if err != nil {
			b.Fatal(err)
		}
		l, err := j.Resume(key, At(start, Stage, Context{Stage: "build_script"}))
		if err != nil {
			b.Fatal(err)
		}
		if _, ok, err := Stopped(p, key, start, l.Began); ok || err != nil {
			b.Fatal(ok, err)
		}
		testutil.Must(b, l.Append(At(start, StageEnd, Context{Stage: "build_script", Exit: "ok"})), l.Close())
		j.Close()
		if info, err := os.Stat(name); err == nil && info.Size() > 8*size {
			testutil.Must(b, os.Truncate(name, size))
		}
	}
}
