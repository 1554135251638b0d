package batch

import (
	"context"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/tail"
)

// The waits between two looks at the job's files; a hint ends a wait. As often as
// the long one, a network file system is made to ask its server.
const (
	shortLook   = 10 * time.Millisecond
	longLook    = time.Second
	refreshTime = time.Second
)

// watcher watch the job's files: they copy the log as it grows and see the marks.
type watcher struct {
	task    Task
	id      scheduler.ID
	dir     directory
	log     *tail.Log
	claimed time.Time  // since when the claim is there
	began   bool       // and has been told
	started chan start // takes one value when the wrapper has begun
	ended   chan end   // takes one value when the script has ended
	failed  chan error // takes the error that ends the watch
	done    chan struct{}
	quit    context.CancelFunc
}

// open begins the watch.
func open(t Task, id scheduler.ID) *watcher {
	e := &watcher{
		task: t, id: id, dir: t.dir(), log: tail.New(t.dir().path(logFile)),
		started: make(chan start, 1), ended: make(chan end, 1), failed: make(chan error, 1), done: make(chan struct{}),
	}
	ctx, quit := context.WithCancel(context.Background())
	e.quit = quit
	go e.watch(ctx)
	return e
}

// watch looks until ctx ends or the script has ended.
func (e *watcher) watch(ctx context.Context) {
	defer close(e.done)
	hints, stop := e.hints()
	defer stop()
	pace := tail.Pace{Min: shortLook, Max: longLook}
	refreshed := time.Now()
	for {
		if s, ok := e.checkStarted(); ok {
			e.started <- s
		}
		grew, err := e.copy()
		if err != nil {
			e.failed <- err
			return
		}
		if time.Since(refreshed) >= refreshTime {
			e.dir.refresh()
			refreshed = time.Now()
		}
		if mark, ok := e.dir.ended(); ok {
			e.ended <- mark
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-hints:
		case <-time.After(pace.Next(grew)):
		}
	}
}

// hints are those of the job's directory, none where there is no watching it: an
// account may have few watches (user.max_inotify_instances).
func (e *watcher) hints() (<-chan struct{}, func()) {
	if e.task.Hints == nil {
		return nil, func() {}
	}
	c, stop, err := e.task.Hints(string(e.dir))
	if err != nil {
		return nil, func() {}
	}
	return c, stop
}

// claimTime is how long the claim may be empty: the wrapper makes it first and
// writes to it then, which a full disk prevents.
const claimTime = time.Second

// checkStarted looks for the wrapper's beginning, once, and says so here: the script's
// own lines come after it.
func (e *watcher) checkStarted() (start, bool) {
	if e.began {
		return start{}, false
	}
	s, ok := e.dir.started()
	if ok && e.claimed.IsZero() {
		e.claimed = time.Now()
	}
	if !ok || (s == start{} && time.Since(e.claimed) < claimTime) {
		return start{}, false
	}
	e.began = true
	e.task.Voice.Note("%s job %s started%s", e.task.Scheduler.Name(), e.id, on(s.node))
	return s, true
}

func on(node string) string {
	if node == "" {
		return ""
	}
	return " on " + node
}

// copy takes one step in the log.
func (e *watcher) copy() (grew bool, err error) {
	n, change, err := e.log.Step(e.task.Log)
	switch change {
	case tail.Truncated:
		e.task.Voice.Warn("the job's output file became shorter; what follows is its new beginning")
	case tail.Replaced:
		e.task.Voice.Warn("the job's output file was replaced; what follows is the new one")
	case tail.Refused:
		e.task.Voice.Warn("the job's output file was replaced by something that is no file; the first one is followed on")
	}
	return n > 0, err
}

// copyRest copies the rest of the log once the script has ended; size is how long
// the log is, -1 when nobody knows. It must not be called before watch returned.
func (e *watcher) copyRest(ctx context.Context, size int64) error {
	defer e.log.Close()
	complete, err := e.log.Drain(ctx, e.task.Log, size, e.task.Settings.NFSTimeout)
	if err == nil && !complete && ctx.Err() == nil {
		e.task.Voice.Warn("the end of the job's output did not appear within %v; it may be incomplete", e.task.Settings.NFSTimeout)
	}
	return err
}
