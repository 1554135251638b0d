package admin

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/test/harness/testutil"
)

// TestGiveUp: the record of a job that nothing can clean up ends, with what it may have left;
// that of a job which may run, or which its runner may clean up, does not.
func TestGiveUp(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct {
		host  string // "" for this one
		until time.Time
		gone  bool // the runner
		runs  bool // a stage
		want  string
	}{
		"a runner that has ended":       {"", now.Add(time.Hour), true, false, ""},
		"a runner that lives":           {"", now.Add(time.Hour), false, false, "its runner lives"},
		"a stage runs":                  {"", now.Add(-48 * time.Hour), true, true, "a stage of it runs"},
		"another host, long ago":        {"retired", now.Add(-25 * time.Hour), false, false, ""},
		"another host, its time is now": {"retired", now.Add(time.Hour), true, false, "its host may still run it"},
		"another host, a stage runs":    {"retired", now.Add(-48 * time.Hour), true, true, "a stage of it runs"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHosted(t)
			if tt.host != "" {
				j, err := journal.Open(h.dir, tt.host)
				testutil.Must(t, err)
				t.Cleanup(j.Close)
				h.j, h.host = j, tt.host
			}
			owner := self()
			if tt.gone {
				owner = gone(t)
			}
			l := h.job(7, owner, tt.until, gone(t))
			testutil.Must(t, l.Append(journal.At(now.Add(-time.Hour), journal.Settled, journal.Context{Builds: "/b/000", Scripts: "/s/7"}),
				journal.At(now.Add(-time.Hour), journal.Batch, journal.Context{System: "slurm", BatchID: "42"})))
			if !tt.runs {
				testutil.Must(t, l.Close())
			}
			testutil.Must(t, journal.SetMark(h.dir, journal.StopJob(7), journal.Mark{Made: now.Unix()}))
			var out bytes.Buffer
			err := GiveUp(&out, GiveUpOptions{Journal: h.dir, Host: tt.host, Jobs: []job.ID{7}}, now)
			lives, lerr := journal.LiveJobs(h.dir, h.host)
			testutil.Must(t, lerr)
			_, marked, merr := journal.GetMark(h.dir, journal.StopJob(7))
			testutil.Must(t, merr)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || len(lives) != 1 || !marked {
					t.Errorf("%v, %d live, want %q", err, len(lives), tt.want)
				}
				return
			}
			testutil.Must(t, err)
			if len(lives) != 0 || marked {
				t.Errorf("%d live jobs, marked %v", len(lives), marked)
			}
			for _, want := range []string{"job 7 (alice): its record has ended", "/b/000", "/s/7", "slurm job 42"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q lacks %q", out.String(), want)
				}
			}
			past, unread, err := Journals{h.dir}.pastRecords(now.Add(-time.Hour), func(journal.Record) bool { return true })
			testutil.Must(t, unread, err)
			if len(past) != 1 || past[0].Events[len(past[0].Events)-1].Context.Exit != givenUp {
				t.Errorf("%+v", past)
			}
			out.Reset()
			testutil.Must(t, GiveUp(&out, GiveUpOptions{Journal: h.dir, Host: tt.host, Jobs: []job.ID{7}}, now))
			if !strings.Contains(out.String(), "nothing to do") {
				t.Errorf("the second time: %s", &out)
			}
		})
	}
	h := newHosted(t)
	err := GiveUp(&bytes.Buffer{}, GiveUpOptions{Journal: h.dir, Host: "other", Jobs: []job.ID{7}}, now)
	if left, _ := filepath.Glob(filepath.Join(h.dir.String(), "other")); err == nil || len(left) != 0 {
		t.Errorf("an unknown host: %v, %v", err, left)
	}
}
