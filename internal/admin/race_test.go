package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jacamar-ci/internal/admin/status"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

// eventsOfOne is how many a job has: so many that its record has several pages.
const eventsOfOne = 12

// chain is jobs of which each waits for the end of the one before.
type chain struct {
	t       *testing.T
	journal *journal.Journal
	live    *journal.Live
	began   atomic.Int64 // the number of the last job that is listed
}

func (c *chain) event(name journal.Name, x journal.Context) journal.Event {
	return journal.At(time.Now(), name, x)
}

// next lists a job as waiting, ends the one before, and admits it.
func (c *chain) next() {
	id := job.ID(c.began.Load() + 1)
	first := []journal.Event{c.event(journal.Granted, journal.Context{Account: "alice", Executor: "shell"})}
	w := &journal.Candidate{Key: journal.Key{UID: 1, Project: 2, Job: id}, Caps: journal.Caps{Total: 1}, First: first, Held: first}
	if _, full, err := c.journal.Admit(w); err != nil || full == nil {
		c.t.Fatalf("job %d does not wait: %v", id, err)
	}
	c.began.Store(int64(id))
	c.end()
	live, full, err := c.journal.Admit(w)
	if err != nil || full != nil {
		c.t.Fatalf("job %d still waits: %v", id, err)
	}
	c.live = live
}

// end ends the job that lives.
func (c *chain) end() {
	for n := range eventsOfOne - 2 {
		end := journal.Context{Stage: "step_" + strconv.Itoa(n), Exit: "ok", Reason: strings.Repeat("x", 700)}
		testutil.Must(c.t, c.live.Append(c.event(journal.StageEnd, end)))
	}
	testutil.Must(c.t, c.live.End(c.event(journal.Ended, journal.Context{Exit: "ok"})))
}

// TestListDuringJobs: the last job that has begun is listed at every moment, as one that waits,
// lives or has ended, and an ended one is counted as a whole, once.
func TestListDuringJobs(t *testing.T) {
	dir := testutil.AbsPath(t, t.TempDir())
	testutil.Must(t, os.Chmod(dir.String(), 0o750))
	j, err := journal.Open(dir, "login1")
	testutil.Must(t, err)
	defer j.Close()
	c := &chain{t: t, journal: j}
	c.live, err = j.Create(journal.Key{UID: 1, Project: 2, Job: 1}, c.event(journal.Granted, journal.Context{Account: "alice", Executor: "shell"}))
	testutil.Must(t, err)
	c.began.Store(1)
	const jobs = 100
	var counted status.Counters
	var readers sync.WaitGroup
	during := func(read func()) {
		readers.Go(func() {
			for c.began.Load() < jobs && !t.Failed() {
				read()
			}
		})
	}
	during(func() { wantListed(t, dir, job.ID(c.began.Load())) })
	during(func() {
		if err := counted.Count(dir, "login1"); err != nil {
			t.Error(err)
		}
	})
	for c.began.Load() < jobs {
		c.next()
	}
	readers.Wait()
	c.end()
	testutil.Must(t, counted.Count(dir, "login1"))
	if got := counted.Ended; len(got) != 1 || got[`executor="shell",exit="ok"`] != jobs {
		t.Errorf("counted: %v, want %d jobs", got, jobs)
	}
}

// wantListed fails the test unless a job is listed.
func wantListed(t *testing.T, dir job.AbsPath, id job.ID) {
	live, err := jobsNow(dir, "login1")
	if err != nil {
		t.Error(err)
	}
	if slices.ContainsFunc(live, func(r journal.Record) bool { return r.Key.Job == id && r.Unread == nil }) {
		return
	}
	past, _, _ := Journals{dir}.pastRecords(time.Now().Add(-time.Hour), func(journal.Record) bool { return true })
	if !slices.ContainsFunc(past, func(r journal.Record) bool { return r.Events[0].Context.Job == id }) {
		t.Errorf("job %d is not listed", id)
	}
}

// TestMetricsAtOnce: of two runs at once, the later one of a counter is never replaced by the
// earlier one, which for Prometheus would be a reset.
func TestMetricsAtOnce(t *testing.T) {
	js := journalWith(t, past{id: 1, account: "a", exit: "ok", end: now})
	j, err := journal.Open(js[0], "login1")
	testutil.Must(t, err)
	defer j.Close()
	dir := t.TempDir()
	o := StatusOptions{Journals: js, Metrics: dir + "/m.prom", Counters: dir + "/counters.json", Since: time.Hour}
	line := regexp.MustCompile(`jacamar_refused_total\{rule="r"\} (\d+)`)
	var runs sync.WaitGroup
	var done atomic.Bool
	for range 3 {
		runs.Go(func() {
			for !done.Load() {
				if _, err := Status(o, now); err != nil {
					t.Error(err)
				}
			}
		})
	}
	const refusals = 150
	for n, last := 0, 0; last < refusals && !t.Failed(); n++ {
		if n < refusals {
			testutil.Must(t, j.Refuse(journal.At(now, journal.Refused, journal.Context{Rule: "r"})))
		}
		text, _ := os.ReadFile(o.Metrics) // missing at first
		if found := line.FindSubmatch(text); found != nil {
			count, err := strconv.Atoi(string(found[1]))
			if testutil.Must(t, err); count < last {
				t.Errorf("%d after %d", count, last)
			}
			last = count
		}
	}
	done.Store(true)
	runs.Wait()
}

// TestStopDuringEnds: a stage that ends by itself while it is stopped is no fault.
func TestStopDuringEnds(t *testing.T) {
	h := newHosted(t)
	for n := range job.ID(40) {
		cmd := exec.Command("sleep", "1000")
		testutil.Must(t, cmd.Start())
		stage, _ := proctree.Find(cmd.Process.Pid)
		o := stopping(t, h.dir, cmd.Process.Pid, n+1)
		live := h.job(n+1, self(), time.Now().Add(time.Hour), &stage)
		ended := make(chan struct{})
		go func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			close(ended)
		}()
		for running := true; running; {
			select {
			case <-ended:
				running = false
			default:
			}
			if err := Stop(io.Discard, o, time.Now()); err != nil {
				t.Error(err)
			}
		}
		testutil.Must(t, live.Close())
	}
}

// TestReapDuringReaps: a job that another process has cleaned up meanwhile is settled, while
// another job is live.
func TestReapDuringReaps(t *testing.T) {
	h := newHosted(t)
	l := h.job(1, gone(t), time.Now().Add(time.Hour), nil)
	testutil.Must(t, l.Close(), h.job(2, self(), time.Now().Add(time.Hour), nil).Close())
	o := ReapOptions{Stop: stopping(t, h.dir, os.Getpid(), 0), CleanUp: func(_ context.Context, k journal.Key) error {
		l, _, err := h.j.TakeOver(k, func(journal.Record) error { return nil })
		testutil.Must(t, err)
		testutil.Must(t, l.End(journal.At(time.Now(), journal.Reaped, journal.Context{})))
		return errors.New("the journal of this host has no live job")
	}}
	var out bytes.Buffer
	if n, err := Reap(t.Context(), &out, o, time.Now()); n != 0 || err != nil || !strings.Contains(out.String(), ": cleaned up") {
		t.Errorf("%d unsettled, %v: %s", n, err, &out)
	}
}

// TestReapWithAnUnreadableJournal: what cannot be found in the journal is not settled.
func TestReapWithAnUnreadableJournal(t *testing.T) {
	h := newHosted(t)
	l := h.job(1, gone(t), time.Now().Add(time.Hour), nil)
	testutil.Must(t, l.Close())
	o := ReapOptions{Stop: stopping(t, h.dir, os.Getpid(), 0), CleanUp: func(context.Context, journal.Key) error {
		dirs, err := filepath.Glob(h.dir.String() + "/*/live")
		testutil.Must(t, err, os.Rename(dirs[0], dirs[0]+".away"), os.WriteFile(dirs[0], nil, 0o600))
		return errors.New("the journal cannot be read")
	}}
	var out bytes.Buffer
	if n, err := Reap(t.Context(), &out, o, time.Now()); n != 1 || err != nil || !strings.Contains(out.String(), ": not settled: the journal cannot be read") {
		t.Errorf("%d unsettled, %v: %s", n, err, &out)
	}
}
