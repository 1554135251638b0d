package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

// TestFull: each cap counts what it is for, earlier waiting jobs come first, and ghosts
// do not count.
func TestFull(t *testing.T) {
	own := Key{1, 2, 10}
	other := func(uid job.UID, project, id job.ID) Key { return Key{uid, project, id} }
	for name, tt := range map[string]struct {
		caps          Caps
		live, waiting []Key
		ghosts        map[Key]bool
		want          *Full
	}{
		"no cap":              {Caps{}, []Key{other(1, 2, 1)}, nil, nil, nil},
		"a place":             {Caps{2, 2, 2}, []Key{other(1, 2, 1)}, nil, nil, nil},
		"the account":         {Caps{1, 9, 9}, []Key{other(1, 3, 1)}, nil, nil, &Full{PerAccount, 1, 0}},
		"another account":     {Caps{1, 9, 9}, []Key{other(2, 2, 1)}, nil, nil, nil},
		"the project":         {Caps{9, 1, 9}, []Key{other(2, 2, 1)}, nil, nil, &Full{PerProject, 1, 0}},
		"another project":     {Caps{9, 1, 9}, []Key{other(1, 3, 1)}, nil, nil, nil},
		"all":                 {Caps{0, 0, 1}, []Key{other(2, 3, 1)}, nil, nil, &Full{Total, 1, 0}},
		"a ghost":             {Caps{1, 1, 1}, []Key{other(1, 2, 1)}, nil, map[Key]bool{other(1, 2, 1): true}, nil},
		"an earlier one":      {Caps{1, 0, 0}, nil, []Key{other(1, 3, 9)}, nil, &Full{PerAccount, 1, 1}},
		"a later one":         {Caps{1, 0, 0}, nil, []Key{other(1, 3, 11)}, nil, nil},
		"its own first try":   {Caps{1, 1, 1}, []Key{own}, nil, nil, nil},
		"waits for other cap": {Caps{1, 0, 0}, nil, []Key{other(2, 2, 9)}, nil, nil},
		"another's queue":     {Caps{1, 9, 3}, []Key{other(2, 3, 5)}, []Key{other(2, 3, 6), other(2, 3, 7), other(2, 3, 8)}, nil, nil},
		"its first":           {Caps{1, 9, 2}, []Key{other(3, 3, 5)}, []Key{other(2, 3, 6), other(2, 3, 7)}, nil, &Full{Total, 2, 2}},
		"another's project":   {Caps{1, 2, 9}, []Key{other(2, 2, 5)}, []Key{other(2, 2, 6), other(2, 2, 7)}, nil, nil},
		"not in their order":  {Caps{1, 9, 2}, nil, []Key{other(2, 3, 9), other(2, 3, 8), other(3, 3, 7)}, nil, &Full{Total, 2, 3}},
	} {
		got := tt.caps.full(own, tt.live, tt.waiting, tt.ghosts)
		if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

// TestAdmit: of many jobs at once never more than the cap are live, each is admitted in
// the end, and a waiting one that died blocks no other.
func TestAdmit(t *testing.T) {
	j, p := open(t)
	const jobs, limit = 20, 3
	dead := &Candidate{Key: Key{key.UID, 1, 1}}
	testutil.Must(t, j.wait(dead), dead.waiter.Close())
	var all sync.WaitGroup
	var mu sync.Mutex
	live, most := 0, 0
	for n := range jobs {
		all.Go(func() {
			k := Key{key.UID, 1, job.ID(n + 2)}
			c := &Candidate{Key: k, Caps: Caps{Account: limit}, First: []Event{At(start, Granted, Context{})}, Held: []Event{At(start, Held, Context{})}}
			for {
				l, full, err := j.Admit(c)
				if err != nil {
					t.Error(err)
					return
				}
				if full != nil {
					runtime.Gosched()
					continue
				}
				mu.Lock()
				live++
				most = max(most, live)
				mu.Unlock()
				runtime.Gosched()
				mu.Lock()
				live--
				mu.Unlock()
				if err := l.End(At(start, Ended, Context{})); err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	all.Wait()
	if most > limit || most == 0 {
		t.Errorf("%d were live at once", most)
	}
	if waiting, err := WaitingJobs(p, "login1"); err != nil || len(waiting) != 0 {
		t.Errorf("%+v, %v", waiting, err)
	}
	if left, err := filepath.Glob(filepath.Join(p.String(), "login1", "*ing", "*")); err != nil || len(left) != 0 {
		t.Errorf("%q, %v", left, err)
	}
}

func anyJob(Record) error { return nil }

// TestTakeOverIsRefused: a process that may not clean up after a job does not keep its next
// stage out either, and does not change what the journal has of it.
func TestTakeOverIsRefused(t *testing.T) {
	j, p := open(t)
	l, err := j.Create(key, At(start, Granted, Context{Account: "alice"}))
	testutil.Must(t, err, l.Close())
	refused, asked := errors.New("its runner lives"), 0
	_, _, err = j.TakeOver(key, func(r Record) error {
		l, err := j.Resume(key)
		if asked++; err != nil || len(r.Events) != 1 {
			t.Fatalf("the next stage: %v; %+v", err, r)
		}
		testutil.Must(t, l.Close())
		return refused
	})
	if jobs := lives(t, p); !errors.Is(err, refused) || asked != 1 || len(jobs) != 1 || jobs[0].Running || len(jobs[0].Events) != 1 {
		t.Errorf("%v, asked %d times; %+v", err, asked, jobs)
	}
}

// TestTakeOverChanged: what holds before the lock is judged again with it.
func TestTakeOverChanged(t *testing.T) {
	j, _ := open(t)
	l, err := j.Create(key, At(start, Granted, Context{}))
	testutil.Must(t, err, l.Close())
	refused := errors.New("its runner lives")
	_, _, err = j.TakeOver(key, func(r Record) error {
		if len(r.Events) > 1 {
			return refused
		}
		l, err := j.Resume(key, At(start, Stage, Context{}))
		testutil.Must(t, err)
		return l.Close()
	})
	if l, again := j.Resume(key); !errors.Is(err, refused) || again != nil {
		t.Errorf("%v; then %v", err, again)
	} else {
		testutil.Must(t, l.Close())
	}
}

func TestTakeOver(t *testing.T) {
	j, p := open(t)
	l, err := j.Create(key, At(start, Granted, Context{Account: "alice"}))
	testutil.Must(t, err)
	if _, _, err := j.TakeOver(key, anyJob); !errors.Is(err, errInUse) {
		t.Errorf("of a running stage: %v", err)
	}
	testutil.Must(t, l.Close())
	taken, r, err := j.TakeOver(key, anyJob)
	if err != nil || len(r.Events) != 1 || r.Key != key {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, _, err := j.TakeOver(key, anyJob); !errors.Is(err, errInUse) {
		t.Errorf("twice: %v", err)
	}
	if jobs, err := LiveJobs(p, "login1"); err != nil || len(jobs) != 1 || !jobs[0].Running {
		t.Errorf("%+v, %v", jobs, err)
	}
	testutil.Must(t, taken.End(At(start, Reaped, Context{Exit: "ok"})))
	if _, _, err := j.TakeOver(key, anyJob); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after its end: %v", err)
	}
	if _, err := os.Stat(filepath.Join(p.String(), "login1", liveDir, key.String())); err == nil {
		t.Error("it is still live")
	}
}

// TestAbandoned: only a job that nothing will end may be cleaned up by others.
func TestAbandoned(t *testing.T) {
	granted := func(until time.Duration) Event {
		return At(start, Granted, Context{Owner: &proctree.Process{PID: 1}, Until: start.Add(until).Unix()})
	}
	settled := At(start, Settled, Context{})
	always := At(start, Granted, Context{})
	end := At(start, StageEnd, Context{Stage: "config"})
	for name, tt := range map[string]struct {
		r     Record
		gone  bool
		after time.Duration
		state State
		may   bool
	}{
		"a stage runs":              {Record{Running: true, Events: []Event{granted(time.Hour)}}, true, 0, Running, false},
		"between":                   {Record{Events: []Event{granted(time.Hour), settled, end}}, false, time.Minute, Between, false},
		"quiet":                     {Record{Events: []Event{granted(time.Hour), settled, end}}, false, 20 * time.Minute, Quiet, false},
		"the runner ended":          {Record{Events: []Event{granted(time.Hour), settled, end}}, true, time.Minute, Ghost, true},
		"late, the runner lives":    {Record{Events: []Event{granted(time.Hour), settled, end}}, false, 2 * time.Hour, Ghost, false},
		"a day late":                {Record{Events: []Event{granted(time.Hour), settled, end}}, false, 26 * time.Hour, Ghost, true},
		"without a timeout":         {Record{Events: []Event{always, settled, end}}, false, time.Minute, Between, false},
		"without one, days later":   {Record{Events: []Event{always, settled, end}}, false, 72 * time.Hour, Quiet, false},
		"a stage was killed":        {Record{Events: []Event{granted(time.Hour), settled, At(start, Stage, Context{Stage: "step_script"})}}, false, time.Second, Between, false},
		"config killed":             {Record{Events: []Event{granted(time.Hour)}}, false, 2 * time.Minute, Ghost, true},
		"config killed just now":    {Record{Events: []Event{granted(time.Hour)}}, false, time.Second, Between, false},
		"config killed, not reaped": {Record{Events: []Event{granted(time.Hour), Unreaped(start, "system", errors.New("x"))}}, false, 2 * time.Minute, Ghost, true},
		"config failed":             {Record{Events: []Event{granted(time.Hour), At(start, StageEnd, Context{Stage: "config", Exit: "system"})}}, false, 2 * time.Minute, Ghost, true},
		"cleanup killed":            {Record{Events: []Event{granted(time.Hour), settled, At(start, Stage, Context{Stage: "cleanup"})}}, false, time.Second, Ghost, true},
		"cleanup runs":              {Record{Running: true, Events: []Event{granted(time.Hour), settled, At(start, Stage, Context{Stage: "cleanup"})}}, false, time.Second, Running, false},
		"an empty file":             {Record{Changed: start}, false, 2 * time.Minute, Ghost, true},
		"an empty file just now":    {Record{Changed: start}, false, time.Second, Between, false},
		"overdue":                   {Record{Running: true, Events: []Event{granted(time.Hour), settled}}, false, 2 * time.Hour, Overdue, false},
		"waiting":                   {Record{Waiting: true, Running: true, Events: []Event{granted(time.Hour)}}, false, 0, Waiting, false},
	} {
		now := start.Add(tt.after)
		if got := StateOf(tt.r, tt.gone, now); got != tt.state {
			t.Errorf("%s: %s, want %s", name, got, tt.state)
		}
		err := tt.r.Abandoned(tt.gone, now)
		if (err == nil) != tt.may {
			t.Errorf("%s: %v", name, err)
		}
		if late := tt.state == Ghost && !tt.may; late != (err != nil && strings.Contains(err.Error(), "its time is over")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
