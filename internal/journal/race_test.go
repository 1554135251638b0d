package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jacamar-ci/test/harness/testutil"
)

// meanwhile calls each function again and again until work returns. Locks belong to open
// files, so that goroutines exclude each other as processes do.
func meanwhile(work func(), others ...func()) {
	var all sync.WaitGroup
	var done atomic.Bool
	for _, other := range others {
		all.Go(func() {
			for !done.Load() {
				other()
			}
		})
	}
	work()
	done.Store(true)
	all.Wait()
}

// TestReadDuringEnds: a reader that has opened the file of a job that ends then meets no
// fault: the job has ended.
func TestReadDuringEnds(t *testing.T) {
	j, p := open(t)
	live := func() {
		records, err := LiveJobs(p, "login1")
		if i := slices.IndexFunc(records, func(r Record) bool { return r.Unread != nil }); err != nil || i >= 0 {
			t.Errorf("%v, %+v", err, records[max(i, 0)].Unread)
		}
	}
	check := func() {
		if err := j.Check(); err != nil {
			t.Errorf("check: %v", err)
		}
	}
	resume := func() {
		l, err := j.Resume(key, At(start, Stage, Context{}))
		switch {
		case err == nil:
			l.Close()
		case !errors.Is(err, fs.ErrNotExist):
			t.Errorf("resume: %v", err)
		}
	}
	meanwhile(func() {
		for range 500 {
			l, err := j.Create(key, At(start, Granted, Context{}))
			testutil.Must(t, err)
			testutil.Must(t, l.End(At(start, Ended, Context{})))
		}
	}, live, live, check, resume)
}

// TestMarkDuringSets: a mark that is set again is in force at every moment.
func TestMarkDuringSets(t *testing.T) {
	_, p := open(t)
	testutil.Must(t, SetMark(p, Drain, Mark{Message: "maintenance"}))
	get := func() {
		if m, ok, err := KeptOut(p, key, start); !ok || err != nil || m.Message != "maintenance" {
			t.Errorf("%+v, %v, %v", m, ok, err)
		}
	}
	meanwhile(func() {
		for range 50 { // each waits for the disk
			testutil.Must(t, SetMark(p, Drain, Mark{Message: "maintenance"}))
		}
	}, get, get, get, get)
}

// TestCreateDuringReaps: a config stage that is repeated while another process cleans up
// after the job is refused or recorded. No event is lost.
func TestCreateDuringReaps(t *testing.T) {
	j, p := open(t)
	recorded, reaped := map[string]bool{}, make(chan struct{}, 1)
	meanwhile(func() {
		for n := 0; len(recorded) < 1000; n++ {
			// A live file takes a limited number of events (maxLiveFile): one that no call ends
			// would be full.
			if n%100 == 99 {
				<-reaped
			}
			reason := fmt.Sprint(n)
			l, err := j.Create(key, At(start.Add(time.Duration(n)*time.Second), Granted, Context{Reason: reason}))
			if errors.Is(err, ErrTaken) {
				continue
			}
			testutil.Must(t, err)
			testutil.Must(t, l.Close())
			recorded[reason] = true
		}
	}, func() {
		l, _, err := j.TakeOver(key, anyJob)
		switch {
		case err == nil:
			if err := l.End(At(start, Reaped, Context{})); err != nil {
				t.Errorf("end: %v", err)
			}
			select {
			case reaped <- struct{}{}:
			default:
			}
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errInUse):
			t.Errorf("take over: %v", err)
		}
	})
	for _, r := range append(lives(t, p), day(t, p)...) {
		for _, e := range r.Events {
			delete(recorded, e.Context.Reason)
		}
	}
	if len(recorded) > 0 {
		t.Errorf("%d events are lost", len(recorded))
	}
}
