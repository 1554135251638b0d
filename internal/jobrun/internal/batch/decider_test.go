package batch

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/settings"
)

// seen is a state at a time after the submission, and what follows from it.
type seen struct {
	after   time.Duration
	state   scheduler.State
	started bool
	want    decision
	fault   string
}

// TestDecisions: what successive states of a job lead to.
func TestDecisions(t *testing.T) {
	const nfs = 30 * time.Second
	running := scheduler.State{Phase: scheduler.Running}
	missing, silent := scheduler.State{Phase: scheduler.Unknown, Missing: true}, scheduler.State{Phase: scheduler.Unknown}
	pending := func(k scheduler.PendingKind) scheduler.State {
		return scheduler.State{Phase: scheduler.Pending, Reason: scheduler.Reason{Kind: k, Name: "Why", Description: "words"}}
	}
	done := func(c scheduler.Class, k scheduler.PendingKind) scheduler.State {
		return scheduler.State{Phase: scheduler.Done, Class: c, Reason: scheduler.Reason{Kind: k}}
	}
	never, failed, other := scheduler.Unsatisfiable, scheduler.LaunchFailed, pending(0).Reason.Kind
	for name, tt := range map[string]struct {
		settings settings.Batch
		states   []seen
		notes    int
	}{
		"exited, the status file is late": {states: []seen{
			{0, running, true, keepWaiting, ""},
			{time.Minute, done(scheduler.Exited, other), true, keepWaiting, ""},
			{time.Minute + nfs - 1, done(scheduler.Exited, other), true, keepWaiting, ""},
			{time.Minute + nfs, done(scheduler.Exited, other), true, finishJob, ""},
		}},
		"exited, nothing of it is seen": {states: []seen{
			{0, done(scheduler.Exited, other), false, keepWaiting, ""}, {nfs - 1, done(scheduler.Exited, other), false, keepWaiting, ""}, {nfs, done(scheduler.Exited, other), false, finishJob, ""},
		}},
		"exited after it started, with a reason": {states: []seen{
			{0, done(scheduler.Exited, never), true, keepWaiting, ""}, {nfs - 1, done(scheduler.Exited, never), true, keepWaiting, ""},
		}},
		"never started": {states: []seen{
			{0, done(scheduler.Exited, never), false, keepWaiting, ""}, {statusFileWait, done(scheduler.Exited, never), false, finishJob, ""},
		}},
		"ended by the system": {states: []seen{
			{0, done(scheduler.TimeLimit, other), true, keepWaiting, ""}, {statusFileWait, done(scheduler.TimeLimit, other), true, finishJob, ""},
		}},
		"done, and requeued meanwhile": {states: []seen{
			{0, done(scheduler.TimeLimit, other), true, keepWaiting, ""},
			{statusFileWait, running, true, keepWaiting, ""},
			{2 * statusFileWait, done(scheduler.TimeLimit, other), true, keepWaiting, ""},
		}},
		"missing": {states: []seen{
			{0, missing, true, keepWaiting, ""}, {nfs - 1, missing, true, keepWaiting, ""}, {nfs, missing, true, abandonJob, "no longer has a record"},
		}},
		"missing now and then": {states: []seen{
			{0, missing, true, keepWaiting, ""}, {nfs - 1, running, true, keepWaiting, ""}, {nfs, missing, true, keepWaiting, ""},
		}},
		"silent": {states: []seen{
			{0, silent, true, keepWaiting, ""},
			{unreachableNotice - 1, silent, true, keepWaiting, ""},
			{unreachableNotice, silent, true, keepWaiting, ""},
			{unreachableLimit - 1, silent, true, keepWaiting, ""},
			{unreachableLimit, silent, true, abandonJob, "has not responded for"},
		}, notes: 1},
		"silent for a short time": {states: []seen{
			{0, silent, true, keepWaiting, ""},
			{unreachableNotice - 1, silent, true, keepWaiting, ""},
			{unreachableNotice, missing, true, keepWaiting, ""},
			{unreachableNotice + 1, silent, true, keepWaiting, ""},
		}},
		"pending": {states: []seen{{0, pending(other), false, keepWaiting, ""}, {1000 * time.Hour, pending(other), false, keepWaiting, ""}}},
		"pending too long": {settings: settings.Batch{PendingTimeout: time.Hour}, states: []seen{
			{time.Hour - 1, pending(other), false, keepWaiting, ""}, {time.Hour, pending(other), false, abandonJob, "did not start within 1h0m0s: words (Why)"},
		}},
		"can never start": {states: []seen{
			{0, pending(never), false, keepWaiting, ""}, {1, pending(never), false, abandonJob, "can never start: words (Why)"},
		}},
		"can never start, now and then": {states: []seen{
			{0, pending(never), false, keepWaiting, ""},
			{1, pending(other), false, keepWaiting, ""},
			{2, pending(never), false, keepWaiting, ""},
			{3, running, true, keepWaiting, ""},
			{4, pending(never), false, keepWaiting, ""},
		}},
		"waits for the impossible": {settings: settings.Batch{WaitForImpossible: true}, states: []seen{
			{0, pending(never), false, keepWaiting, ""}, {1, pending(never), false, keepWaiting, ""},
		}},
		"pending again": {settings: settings.Batch{PendingTimeout: time.Hour}, states: []seen{
			{2 * time.Hour, pending(never), true, keepWaiting, ""},
			{2*time.Hour + requeueLimit - 1, pending(other), true, keepWaiting, ""},
			{2*time.Hour + requeueLimit, pending(other), true, abandonJob, "put job 5 back into its queue"},
		}},
		"pending again, for a moment": {settings: settings.Batch{PendingTimeout: time.Hour}, states: []seen{
			{2 * time.Hour, pending(never), true, keepWaiting, ""},
			{2*time.Hour + requeueLimit - 1, running, true, keepWaiting, ""},
			{2*time.Hour + requeueLimit, pending(failed), true, keepWaiting, ""},
		}},
		"could not be started": {settings: settings.Batch{WaitForImpossible: true}, states: []seen{
			{0, pending(failed), false, keepWaiting, ""}, {1, pending(failed), false, abandonJob, "could not start job 5: words (Why)"},
		}},
	} {
		var log bytes.Buffer
		tt.settings.NFSTimeout = nfs
		own := ipc.Batch{Batch: tt.settings}
		begun := time.Unix(1795193340, 0)
		d := decider{task: Task{Scheduler: fakeName{}, Settings: own, Messages: joblog.NewWriter(&log)}, id: "5", submitted: begun}
		for i, s := range tt.states {
			got, err := d.observe(s.state, s.started, begun.Add(s.after))
			if got != s.want || (err != nil) != (s.fault != "") || err != nil && !strings.Contains(err.Error(), s.fault) {
				t.Errorf("%s: state %d: decision %d, %v, want %d, %q", name, i, got, err, s.want, s.fault)
			}
		}
		if n := strings.Count(log.String(), "does not respond"); n != tt.notes {
			t.Errorf("%s: %d notes, want %d: %s", name, n, tt.notes, &log)
		}
	}
}

// TestParseTimes: the output of times in bash, with the decimal point of any locale.
func TestParseTimes(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"":                                       0,
		"0m1.250s 0m0.010s":                      1260 * time.Millisecond,
		"0m9.000s 0m9.000s\n1m1.250s 0m0.010s\n": 61260 * time.Millisecond,
		"0m1,250s 0m0,010s":                      1260 * time.Millisecond,
		"0m1.250s x":                             0,
		"0m1.250s -0m0.010s":                     0,
		"code=0":                                 0,
	} {
		if got := parseTimes(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestPrograms: a program is an executable regular file in one of the directories, the first
// that has it, or has an absolute path.
func TestPrograms(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for path, mode := range map[string]os.FileMode{
		filepath.Join(first, "text"): 0o644, filepath.Join(first, "both"): 0o755, filepath.Join(second, "both"): 0o755,
		filepath.Join(second, "later"): 0o755, filepath.Join(first, "later"): 0o644,
	} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(first, "directory"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := Programs{Dirs: []string{first, second}}
	for name, want := range map[string]string{
		"both": filepath.Join(first, "both"), "later": filepath.Join(second, "later"), "text": "", "directory": "", "none": "",
		filepath.Join(second, "both"): filepath.Join(second, "both"), filepath.Join(first, "text"): "", filepath.Join(first, "directory"): "",
		filepath.Join(first, "none"): "",
	} {
		got, err := p.Find(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
		if err := p.Missing([]string{"both", name}); (err == nil) != (want != "") {
			t.Errorf("both and %s: %v", name, err)
		}
	}
}
