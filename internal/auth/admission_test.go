package auth

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/journal"
	"jacamar-ci/test/harness/testutil"
)

// TestMayWait: a drain's time to wait counts from the token, as the runner calls a config
// stage that failed again; without one, from the beginning of the stage.
func TestMayWait(t *testing.T) {
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	for name, tt := range map[string]struct {
		token, started time.Time
		hold           time.Duration
		want           bool
	}{
		"no time":                             {ago(0), ago(0), 0, false},
		"it is not over":                      {ago(time.Minute), ago(0), time.Hour, true},
		"it is over":                          {ago(2 * time.Hour), ago(0), time.Hour, false},
		"without a token":                     {time.Time{}, ago(time.Minute), time.Hour, true},
		"without a token, and it is over":     {time.Time{}, ago(2 * time.Hour), time.Hour, false},
		"a token that is older than the call": {ago(time.Minute), ago(2 * time.Hour), time.Hour, true},
	} {
		d := &authDriver{}
		d.Started, d.id.Token.IssuedAt = tt.started, tt.token
		if got := d.mayWait(journal.Mark{Hold: int64(tt.hold.Seconds())}); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestRefusalsOfMarks: the user reads until when a drain lasts, if it has an end, and what the
// administrators wrote.
func TestRefusalsOfMarks(t *testing.T) {
	end := time.Date(2026, 12, 1, 18, 30, 0, 0, time.Local)
	for want, err := range map[string]error{
		"this CI resource takes no new jobs: new disks":                        drained(journal.Mark{Message: "new disks"}),
		"this CI resource takes no new jobs until 2026-12-01 18:30: new disks": drained(journal.Mark{Message: "new disks", Until: end.Unix()}),
		"stopped by the administrators of this CI resource":                    stoppedJob(journal.Mark{}),
		"stopped by the administrators of this CI resource: too many files":    stoppedJob(journal.Mark{Message: "too many files"}),
	} {
		var f *failure.Error
		if !errors.As(err, &f) || f.Public != want {
			t.Errorf("%+v, want %q", f, want)
		}
		if refusedWhen(true, err) != err || refusedWhen(false, err) != nil {
			t.Errorf("%q is refused without a reason, or not refused", want)
		}
	}
}

// TestShowsWhyItWaits: the job's log has a line when the reason changes, and not for each look.
func TestShowsWhyItWaits(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	testutil.Must(t, err)
	defer log.Close()
	a := &admission{d: &authDriver{}}
	a.d.Stdout, a.d.Stderr = log, log
	a.d.Site.Auth.Concurrency.Wait = time.Hour
	lines := func(full journal.Full) string {
		testutil.Must(t, os.Truncate(log.Name(), 0))
		a.show(full)
		text, err := os.ReadFile(log.Name())
		testutil.Must(t, err)
		return strings.Trim(string(text), "\x00")
	}
	account := journal.Full{Cap: journal.PerAccount, Limit: 3}
	if got := lines(account); !strings.Contains(got, "this CI resource runs 3 of your jobs at once; waiting up to 1h0m0s") {
		t.Errorf("the first look: %q", got)
	}
	if got := lines(account); got != "" {
		t.Errorf("nothing changed: %q", got)
	}
	project := journal.Full{Cap: journal.PerProject, Limit: 4, Ahead: 2}
	if got := lines(project); !strings.Contains(got, "4 jobs of this project at once, and 2 wait before this one; waiting") {
		t.Errorf("another cap: %q", got)
	}
	a.shownAt = time.Now().Add(-noticePeriod)
	if got := lines(project); !strings.Contains(got, "4 jobs of this project") {
		t.Errorf("after a long time: %q", got)
	}
	if got := limitText(journal.Full{Cap: journal.Total, Limit: 5}); got != "5 jobs at once" {
		t.Errorf("%q", got)
	}
}
