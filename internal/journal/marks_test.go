package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

func TestKeptOut(t *testing.T) {
	_, p := open(t)
	if _, ok, err := KeptOut(p, key, start); ok || err != nil {
		t.Fatalf("without marks: %v, %v", ok, err)
	}
	for _, tt := range []struct {
		name MarkName
		mark Mark
		want bool
	}{
		{Drain, Mark{Message: "all"}, true},
		{Drain, Mark{Message: "over", Until: start.Unix()}, false},
		{Drain, Mark{Message: "not yet over", Until: start.Unix() + 1}, true},
		{Drain, Mark{Message: "not for this account", Allow: []job.UID{key.UID}}, false},
		{DrainAccount(key.UID), Mark{Message: "the account"}, true},
		{DrainAccount(key.UID + 1), Mark{Message: "another account"}, false},
		{DrainProject(key.Project), Mark{Message: "the project"}, true},
		{DrainProject(key.Project + 1), Mark{Message: "another project"}, false},
	} {
		testutil.Must(t, SetMark(p, tt.name, tt.mark))
		m, ok, err := KeptOut(p, key, start)
		if ok != tt.want || err != nil || ok && m.Message != tt.mark.Message {
			t.Errorf("%s %+v: %+v, %v, %v", tt.name, tt.mark, m, ok, err)
		}
		testutil.Must(t, RemoveMark(p, tt.name))
		if err := RemoveMark(p, tt.name); !errors.Is(err, ErrNoMark) {
			t.Errorf("removed again: %v", err)
		}
	}
}

func TestStopped(t *testing.T) {
	_, p := open(t)
	began := func() time.Time { return start }
	testutil.Must(t, SetMark(p, StopJob(key.Job), Mark{Message: "too loud\x1b[2J"}))
	if m, ok, err := Stopped(p, key, start, began); !ok || err != nil || m.Message != "too loud?[2J" {
		t.Errorf("%+v, %v, %v", m, ok, err)
	}
	testutil.Must(t, RemoveMark(p, StopJob(key.Job)))
	testutil.Must(t, SetMark(p, StopAccount(key.UID), Mark{Made: start.Unix()}))
	if _, ok, _ := Stopped(p, key, start, began); !ok {
		t.Error("a job that began before is not stopped")
	}
	if _, ok, _ := Stopped(p, key, start, func() time.Time { return start.Add(time.Second) }); ok {
		t.Error("a job that began afterwards is stopped")
	}
	testutil.Must(t, SetMark(p, StopAccount(key.UID), Mark{Made: start.Unix(), Until: start.Unix()}))
	testutil.Must(t, SetMark(p, StopJob(key.Job), Mark{Until: start.Unix()}))
	if _, ok, _ := Stopped(p, key, start, began); ok {
		t.Error("marks that have ended stop a job")
	}
}

// TestDamagedMark: the other marks are in force, and the damaged one is named.
func TestDamagedMark(t *testing.T) {
	for damaged, others := range map[MarkName][]MarkName{
		DrainAccount(key.UID):     {DrainProject(key.Project), Drain},
		DrainProject(key.Project): {DrainAccount(key.UID), Drain},
		Drain:                     {DrainAccount(key.UID), DrainProject(key.Project)},
		StopJob(key.Job):          {StopAccount(key.UID)},
		StopAccount(key.UID):      {StopJob(key.Job)},
	} {
		for _, other := range others {
			j, p := open(t)
			testutil.Must(t, SetMark(p, other, Mark{Message: "text", Made: start.Unix()}), j.Check())
			testutil.Must(t, os.WriteFile(filepath.Join(p.String(), markDir, string(damaged)), []byte("{"), 0o640))
			m, ok, err := KeptOut(p, key, start)
			if strings.HasPrefix(string(damaged), "stop") {
				m, ok, err = Stopped(p, key, start, func() time.Time { return start })
			}
			if !ok || m.Message != "text" {
				t.Errorf("%s is not in force next to %s: %v", other, damaged, err)
			}
			if err := j.Check(); err == nil || !strings.Contains(err.Error(), markDir+"/"+string(damaged)) {
				t.Errorf("%s is not named: %v", damaged, err)
			}
		}
	}
}

// TestPlantedMark: a planted mark neither stops a job nor blocks the reader.
func TestPlantedMark(t *testing.T) {
	_, p := open(t)
	testutil.Must(t, SetMark(p, StopJob(1), Mark{}))
	dir := filepath.Join(p.String(), markDir)
	testutil.Must(t, syscall.Mkfifo(filepath.Join(dir, string(Drain)), 0o600))
	if _, ok, err := KeptOut(p, key, start); ok || err == nil {
		t.Errorf("a FIFO: %v, %v", ok, err)
	}
	testutil.Must(t, os.Remove(filepath.Join(dir, string(Drain))))
	testutil.Must(t, os.WriteFile(filepath.Join(dir, string(Drain)), []byte("{\"message\":"), 0o640))
	if _, ok, err := KeptOut(p, key, start); ok || err == nil || !strings.Contains(err.Error(), "cannot read") {
		t.Errorf("half a mark: %v, %v", ok, err)
	}
}

// TestMarkThatIsRead: a mark is written only where readers take it as a whole.
func TestMarkThatIsRead(t *testing.T) {
	_, p := open(t)
	for _, part := range []string{"x", "<", `"`, "ü"} {
		for _, allowed := range []int{0, 100, 1000} {
			m := Mark{Message: strings.Repeat(part, 4*maxMessage), Allow: slices.Repeat([]job.UID{1<<32 - 1}, allowed), Made: 1}
			written := SetMark(p, Drain, m)
			read, ok, err := GetMark(p, Drain)
			if written == nil && (err != nil || !ok || len(read.Allow) != allowed) || (written == nil) != (allowed < 1000) {
				t.Errorf("%q, %d accounts: %v; %v, %v", part, allowed, written, ok, err)
			}
			_ = RemoveMark(p, Drain)
		}
	}
}
