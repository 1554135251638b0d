package batch

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

func TestParseEnd(t *testing.T) {
	tests := []struct {
		text string
		want endStatus
		ok   bool
	}{
		{"code=0\nterm=0\nsize=12\nend=1795193340\n", endStatus{size: 12, at: time.Unix(1795193340, 0)}, true},
		{"code=255\nterm=1\nsize=-1\nend=1\n", endStatus{code: 255, terminated: true, size: -1, at: time.Unix(1, 0)}, true},
		{"code=7\n", endStatus{code: 7, size: -1}, true},
		{"code=7", endStatus{code: 7, size: -1}, true},
		{"code=7\nbegan=1\n", endStatus{code: 7, size: -1}, true},
		{"code=7\nbegan=0\n", endStatus{code: 7, scriptNotRun: true, size: -1}, true},
		{"", endStatus{}, false},
		{"code=\n", endStatus{}, false},
		{"code=256\n", endStatus{}, false},
		{"code=-1\n", endStatus{}, false},
		{"code=x\n", endStatus{}, false},
		{"cod", endStatus{}, false},
	}
	for _, tt := range tests {
		if got, ok := parseEnd(tt.text); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %+v %v, want %+v %v", tt.text, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzStatusFiles(f *testing.F) {
	f.Add("code=0\nterm=0\nsize=12\nend=1795193340\n")
	f.Add("node=n1\nstart=1795193340\n")
	f.Fuzz(func(t *testing.T, text string) {
		if e, ok := parseEnd(text); ok && (e.code < 0 || e.code > 255 || e.size < -1 || !strings.Contains(text, "code=")) {
			t.Errorf("%q: %+v", text, e)
		}
		_ = parseStart(text)
	})
}

func TestStatusFilesAreRegular(t *testing.T) {
	d := submitted(t, "true")
	if err := syscall.Mkfifo(d.path(endedFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if e, ok := d.readEnd(); ok {
		t.Errorf("a FIFO gave %+v", e)
	}
	if err := syscall.Symlink("/proc/self/environ", d.path(startedFile)); err != nil {
		t.Fatal(err)
	}
	if s, ok := d.readStart(); ok {
		t.Errorf("a link gave %+v", s)
	}
}

func TestStartTime(t *testing.T) {
	now := time.Date(2026, 11, 20, 14, 0, 0, 0, time.Local)
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{now.Add(time.Hour), "at 15:00"},
		{now.Add(24 * time.Hour), "on 21 November at 14:00"},
		{now.AddDate(1, 0, 0), "on 20 November at 14:00"},
	} {
		if got := startTime(tt.at, now); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.at, got, tt.want)
		}
	}
}

// The estimated start is shown with the reason; a change of it alone makes no line.
func TestPendingLine(t *testing.T) {
	var w noticeTimer
	now := time.Date(2026, 11, 20, 14, 0, 0, 0, time.Local)
	s := scheduler.State{Phase: scheduler.Pending, Reason: scheduler.Reason{Name: "Priority", Description: "others first"}, Start: now.Add(time.Hour)}
	if got := w.line("Slurm", "5", s, now); got != "Slurm job 5 is pending: others first (Priority), expected to start at 15:00" {
		t.Error(got)
	}
	s.Start = s.Start.Add(time.Minute)
	if got := w.line("Slurm", "5", s, now.Add(time.Minute)); got != "" {
		t.Error(got)
	}
	s.Start = now.Add(-time.Minute)
	if got := w.line("Slurm", "5", s, now.Add(noticeInterval)); got != "Slurm job 5 is pending: others first (Priority)" {
		t.Error(got)
	}
}

// Every class has a failure kind and a message.
func TestOutcomeByClass(t *testing.T) {
	var task Task
	task.Scheduler = fakeName{}
	done := func(c scheduler.Class) scheduler.State {
		return scheduler.State{Phase: scheduler.Done, Class: c, Name: "NAME", Description: "words", By: "7"}
	}
	for _, tt := range []struct {
		class scheduler.Class
		kind  failure.Kind
		hint  string
	}{
		{scheduler.TimeLimit, failure.Build, "more time"},
		{scheduler.MemoryLimit, failure.Build, "more memory"},
		{scheduler.Deadline, failure.Build, "deadline"},
		{scheduler.Cancelled, failure.Build, ""},
		{scheduler.SystemFailure, failure.System, ""},
	} {
		for _, status := range []*endStatus{nil, {code: 1}} {
			err := task.outcome("5", status, true, done(tt.class))
			line, hint := failure.ForUser(err, false, "")
			if failure.KindOf(err) != tt.kind || !strings.Contains(line, "job 5") || !strings.Contains(hint, tt.hint) {
				t.Errorf("class %d, status %v: %v, %q, %q", tt.class, status, failure.KindOf(err), line, hint)
			}
		}
		if err := task.outcome("5", &endStatus{code: 0}, true, done(tt.class)); err != nil {
			t.Errorf("class %d: a script that succeeded gave %v", tt.class, err)
		}
	}
}

type fakeName struct{ scheduler.Scheduler }

func (fakeName) Name() string { return "Slurm" }
