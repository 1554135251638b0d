package admin

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

// hosted is a journal of this host without jobs.
type hosted struct {
	t    *testing.T
	dir  job.AbsPath
	host string
	j    *journal.Journal
}

func newHosted(t *testing.T) hosted {
	t.Helper()
	dir := t.TempDir()
	testutil.Must(t, os.Chmod(dir, 0o750))
	js, err := ParseJournals([]string{dir})
	testutil.Must(t, err)
	host, err := os.Hostname()
	testutil.Must(t, err)
	j, err := journal.Open(js[0], host)
	testutil.Must(t, err)
	t.Cleanup(j.Close)
	return hosted{t, js[0], host, j}
}

// job adds a job that has begun an hour ago, and whose time is over at until. The file is
// open, as it is while a stage runs.
func (h hosted) job(id job.ID, owner *proctree.Process, until time.Time, stage *proctree.Process) *journal.Live {
	h.t.Helper()
	began := time.Now().Add(-time.Hour)
	l, err := h.j.Create(journal.Key{UID: 1, Project: 2, Job: id},
		journal.At(began, journal.Granted, journal.Context{Job: id, Account: "alice", Owner: owner, Until: until.Unix()}),
		journal.At(began, journal.Settled, journal.Context{}),
		journal.At(began, journal.Stage, journal.Context{Stage: "build_script", Process: stage}))
	testutil.Must(h.t, err)
	h.t.Cleanup(func() { l.Close() })
	return l
}

// gone is a process that has ended.
func gone(t *testing.T) *proctree.Process {
	t.Helper()
	cmd := exec.Command("sleep", "300")
	testutil.Must(t, cmd.Start())
	p, ok := proctree.Find(cmd.Process.Pid)
	testutil.Must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if !ok || !p.Gone() {
		t.Fatal("the process is not gone")
	}
	return &p
}

func self() *proctree.Process {
	p, _ := proctree.Find(os.Getpid())
	return &p
}

// recorder is what was cleaned up.
type recorder struct {
	mu   sync.Mutex
	jobs []job.ID
}

func (r *recorder) cleanUp(_ context.Context, k journal.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs = append(r.jobs, k.Job)
	if k.Job == 13 {
		return errors.New("the batch system is away")
	}
	return nil
}

func (h hosted) reap(o ReapOptions, r *recorder) (unsettled int, text string, err error) {
	var out bytes.Buffer
	o.CleanUp = r.cleanUp
	unsettled, err = Reap(h.t.Context(), &out, o, time.Now())
	return unsettled, out.String(), err
}

// TestReapFindings: a job is cleaned up when its runner has ended, or when its time is over
// for long; until then it is named with the reason, and others are left alone.
func TestReapFindings(t *testing.T) {
	h := newHosted(t)
	soon, over := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	for _, l := range []*journal.Live{
		h.job(1, gone(t), soon, nil), h.job(2, self(), over, nil), h.job(3, self(), soon, nil), h.job(4, nil, soon, nil), h.job(5, self(), time.Now().Add(-72*time.Hour), nil),
	} {
		testutil.Must(t, l.Close())
	}
	h.job(6, self(), over, nil)  // its stage runs
	h.job(7, gone(t), soon, nil) // its stage runs, and may clean up
	stop := stopping(t, h.dir, os.Getpid(), 0)
	for older, want := range map[time.Duration]string{0: "overdue 6 ghosts 1 5 waiting 2 ", 2 * time.Hour: "overdue 6 ghosts waiting 2 "} {
		f, err := ReapOptions{Stop: stop, Older: older}.find(h.host, time.Now())
		testutil.Must(t, err)
		got := "overdue "
		for _, part := range []struct {
			jobs []journal.Record
			next string
		}{{f.overdue, "ghosts "}, {f.ghosts, "waiting "}, {f.waiting, ""}} {
			for _, r := range part.jobs {
				got += r.Key.Job.String() + " "
			}
			got += part.next
		}
		if got != want {
			t.Errorf("older than %v: %q, want %q", older, got, want)
		}
	}
}

// TestReap cleans up after jobs of ended runners, and returns how many are not settled.
func TestReap(t *testing.T) {
	h, r := newHosted(t), &recorder{}
	o := ReapOptions{Stop: stopping(t, h.dir, os.Getpid(), 0)}
	o.Stop.Jobs = nil
	if n, text, err := h.reap(o, r); n != 0 || err != nil || !strings.Contains(text, "nothing to do") {
		t.Errorf("without a job: %d, %v: %s", n, err, text)
	}
	soon := time.Now().Add(time.Hour)
	testutil.Must(t, h.job(12, gone(t), soon, nil).Close())
	testutil.Must(t, h.job(13, gone(t), soon, nil).Close())
	testutil.Must(t, h.job(14, self(), time.Now().Add(-time.Minute), nil).Close())
	o.DryRun = true
	if n, text, err := h.reap(o, r); n != 0 || err != nil || len(r.jobs) != 0 || strings.Count(text, "would be cleaned up") != 2 || !strings.Contains(text, "not cleaned up: its time is over") {
		t.Errorf("a dry run: %d, %v, %v: %s", n, err, r.jobs, text)
	}
	o.DryRun = false
	n, text, err := h.reap(o, r)
	if n != 2 || err != nil || len(r.jobs) != 2 {
		t.Errorf("%d, %v, %v", n, err, r.jobs)
	}
	for _, want := range []string{"job 12 (alice): cleaned up\n", "job 13 (alice): not settled: the batch system is away\n", "job 14 (alice): not cleaned up: its time is over"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	o.DryRun = true
	for _, dry := range []bool{true, false} {
		o.DryRun, o.CleanUp = dry, r.cleanUp
		if _, err := Reap(t.Context(), full{}, o, time.Now()); err == nil {
			t.Errorf("dry run %v, to a full disk: no error", dry)
		}
	}
}

// TestReapWritesWaiting: an error of the output is one wherever it comes.
func TestReapWritesWaiting(t *testing.T) {
	key := journal.Key{UID: 1, Project: 2, Job: 3}
	f := findings{waiting: []journal.Record{{Key: key}}, why: map[journal.Key]error{key: errors.New("it runs")}}
	for name, write := range map[string]func() error{
		"print":    func() error { return f.print(full{}) },
		"clean up": func() error { _, err := ReapOptions{}.cleanUp(t.Context(), full{}, f); return err },
		"overdue":  func() error { return findings{overdue: f.waiting}.print(full{}) },
		"ghosts": func() error {
			o := ReapOptions{CleanUp: func(context.Context, journal.Key) error { return nil }}
			_, err := o.cleanUp(t.Context(), full{}, findings{ghosts: f.waiting})
			return err
		},
	} {
		if write() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestReapStops a job that is overdue. Reap waits until its stage has ended and, where its
// runner lives, until that has cleaned up.
func TestReapStops(t *testing.T) {
	for name, tt := range map[string]struct {
		owner   func(*testing.T) *proctree.Process
		end     bool // the runner cleans up
		timeout time.Duration
		cleaned bool
		left    int
	}{
		"the runner has ended":    {gone, false, 20 * time.Second, true, 0},
		"the runner cleans up":    {func(*testing.T) *proctree.Process { return self() }, true, 20 * time.Second, false, 0},
		"the runner does not end": {func(*testing.T) *proctree.Process { return self() }, false, 500 * time.Millisecond, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h, r := newHosted(t), &recorder{}
			sleep := exec.Command("sleep", "300")
			testutil.Must(t, sleep.Start())
			stage, _ := proctree.Find(sleep.Process.Pid)
			live := h.job(9, tt.owner(t), time.Now().Add(-time.Minute), &stage)
			other := h.job(10, self(), time.Now().Add(time.Hour), nil) // another job runs
			defer other.Close()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = sleep.Wait()
				time.Sleep(300 * time.Millisecond)
				_ = live.Close()
				if tt.end {
					time.Sleep(300 * time.Millisecond)
					cleanup, err := h.j.Resume(journal.Key{UID: 1, Project: 2, Job: 9})
					if err == nil {
						err = cleanup.End(journal.At(time.Now(), journal.Ended, journal.Context{}))
					}
					if err != nil {
						t.Error(err)
					}
				}
			}()
			o := ReapOptions{Stop: stopping(t, h.dir, sleep.Process.Pid, 9), KillTimeout: tt.timeout - stopSlack}
			o.Stop.Jobs = nil
			begun := time.Now()
			n, text, err := h.reap(o, r)
			if took := time.Since(begun); tt.cleaned && took > tt.timeout/2 {
				t.Errorf("it waited %v for a runner that has ended", took)
			}
			<-ended
			if err != nil || n != tt.left || (len(r.jobs) == 1) != tt.cleaned || !strings.Contains(text, "job 9: sent SIGTERM to its stage build_script") {
				t.Errorf("%d, %v, cleaned up %v: %s", n, err, r.jobs, text)
			}
		})
	}
}

// TestStopNothing: without an overdue job nothing is stopped, and no mark is set.
func TestStopNothing(t *testing.T) {
	h := newHosted(t)
	o := ReapOptions{Stop: StopOptions{Journal: h.dir, AsOwner: func(func() error) error { return errors.New("called") }}}
	if err := o.stop(t.Context(), &bytes.Buffer{}, nil, time.Now()); err != nil {
		t.Error(err)
	}
}

// TestStopMatches the jobs that are named, and all of an account.
func TestStopMatches(t *testing.T) {
	alice := job.UID(1001)
	for name, tt := range map[string]struct {
		o    StopOptions
		want bool
	}{
		"named":              {StopOptions{Jobs: []job.ID{4, 5}}, true},
		"another":            {StopOptions{Jobs: []job.ID{4}}, false},
		"of the account":     {StopOptions{Account: &alice}, true},
		"none":               {StopOptions{}, false},
		"named, another uid": {StopOptions{Jobs: []job.ID{5}, Account: new(job.UID)}, true},
		"of another account": {StopOptions{Account: new(job.UID)}, false},
	} {
		if got := tt.o.matches(journal.Record{Key: journal.Key{UID: alice, Job: 5}}); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestStopWithoutAStage: a job none of whose stages runs has nothing to signal.
func TestStopWithoutAStage(t *testing.T) {
	o := stopping(t, newHosted(t).dir, os.Getpid(), 5)
	stage := func(p *proctree.Process) []journal.Event {
		return []journal.Event{journal.At(now, journal.Stage, journal.Context{Stage: "build_script", Process: p})}
	}
	for name, r := range map[string]journal.Record{
		"between stages":     {Events: stage(self())},
		"without a stage":    {Running: true},
		"without a process":  {Running: true, Events: stage(nil)},
		"its stage is ended": {Running: true, Events: stage(gone(t))},
	} {
		var out bytes.Buffer
		if err := o.stopStage(&out, r); err != nil || !strings.Contains(out.String(), "no stage runs") {
			t.Errorf("%s: %v: %s", name, err, out.String())
		}
	}
}

// TestMarkErrors: a mark that cannot be set or removed is an error, and one that is missing is
// not.
func TestMarkErrors(t *testing.T) {
	dir := newHosted(t).dir
	o := stopping(t, dir, os.Getpid(), 5)
	if err := o.nothing(&bytes.Buffer{}, []journal.MarkName{journal.StopJob(5)}); err != nil {
		t.Errorf("a missing mark: %v", err)
	}
	no := errors.New("no")
	calls := 0
	err := o.eachMark([]journal.MarkName{"a", "b"}, func(journal.MarkName) error { calls++; return no })
	if err != no || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	testutil.Must(t, journal.SetMark(dir, journal.StopJob(5), journal.Mark{Made: 1}), os.Chmod(dir.String(), 0o777))
	defer os.Chmod(dir.String(), 0o750)
	drain := DrainOptions{Journal: dir, Name: journal.Drain, Message: "x", Until: time.Hour}
	for name, do := range map[string]func() error{
		"stop":   func() error { return o.nothing(&bytes.Buffer{}, []journal.MarkName{journal.StopJob(5)}) },
		"drain":  func() error { return SetDrain(&bytes.Buffer{}, drain, now) },
		"resume": func() error { return Resume(&bytes.Buffer{}, dir, journal.Drain) },
	} {
		if do() == nil {
			t.Errorf("%s in a journal that others may change: no error", name)
		}
	}
}

// TestDrainLimits of the times.
func TestDrainLimits(t *testing.T) {
	dir := newHosted(t).dir
	for name, tt := range map[string]struct {
		until, hold time.Duration
		want        bool
	}{
		"a time":             {time.Hour, 0, true},
		"the longest":        {longestDrain, longestHold, true},
		"no time":            {0, 0, false},
		"a negative time":    {-time.Hour, 0, false},
		"too long":           {longestDrain + 1, 0, false},
		"a negative hold":    {time.Hour, -1, false},
		"a hold of too long": {time.Hour, longestHold + 1, false},
	} {
		o := DrainOptions{Journal: dir, Name: journal.Drain, Message: "x", Until: tt.until, Hold: tt.hold}
		if err := SetDrain(&bytes.Buffer{}, o, now); (err == nil) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
