package batch

import (
	"context"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/tail"
)

// The waits between two checks of the job's files; a hint ends a wait. A network
// file system is made to query its server once in each refreshInterval.
const (
	minWatchDelay   = 10 * time.Millisecond
	refreshInterval = time.Second
)

// watchLimit is the longest wait while nothing changes: a fiftieth of the job's age,
// within bounds. Hundreds of jobs would otherwise query a file server hundreds of times in
// a second.
func watchLimit(age time.Duration) time.Duration {
	return max(minIdleDelay, min(age/50, maxIdleDelay))
}

const (
	minIdleDelay = time.Second
	maxIdleDelay = 5 * time.Second
)

// watcher copies the growing log and polls the status files.
type watcher struct {
	task          Task
	id            string // in messages
	dir           directory
	log           *tail.Log
	startLockSeen time.Time        // when the start file was first found
	reported      bool             // the start was reported
	started       chan startStatus // receives one value when the wrapper has started
	ended         chan endStatus   // receives one value when the script has ended
	failed        chan error       // receives the error that ends the watch
	done          chan struct{}
	quit          context.CancelFunc
}

// newWatcher starts the watch.
func newWatcher(t Task, id string) *watcher {
	w := &watcher{
		task: t, id: id, dir: t.dir(), log: tail.New(t.dir().path(logFile)),
		started: make(chan startStatus, 1), ended: make(chan endStatus, 1), failed: make(chan error, 1), done: make(chan struct{}),
	}
	ctx, quit := context.WithCancel(context.Background())
	w.quit = quit
	go w.watch(ctx)
	return w
}

// watch runs until ctx ends or the script has ended.
func (w *watcher) watch(ctx context.Context) {
	defer close(w.done)
	hints, stop := w.hints()
	defer stop()
	interval, began := tail.Interval{Min: minWatchDelay}, time.Now()
	refreshed := began
	for {
		if s, ok := w.checkStarted(); ok {
			w.started <- s
		}
		grew, err := w.copyLog()
		if err != nil {
			w.failed <- err
			return
		}
		if time.Since(refreshed) >= refreshInterval {
			w.dir.refresh()
			refreshed = time.Now()
		}
		if status, ok := w.dir.readEnd(); ok {
			w.ended <- status
			return
		}
		interval.Max = watchLimit(time.Since(began))
		select {
		case <-ctx.Done():
			return
		case <-hints:
		case <-time.After(interval.Next(grew)):
		}
	}
}

// hints are those of the job's directory. There are none where it cannot be watched:
// an account may have few inotify instances (user.max_inotify_instances).
func (w *watcher) hints() (<-chan struct{}, func()) {
	if w.task.Watch == nil {
		return nil, func() {}
	}
	c, stop, err := w.task.Watch(string(w.dir))
	if err != nil {
		return nil, func() {}
	}
	return c, stop
}

// emptyStartLimit is how long the start file may be empty: the wrapper creates it
// before it writes to it, and a full disk prevents the write.
const emptyStartLimit = time.Second

// checkStarted reports the wrapper's start, once. It writes the message itself so
// that the message precedes the script's output.
func (w *watcher) checkStarted() (startStatus, bool) {
	if w.reported {
		return startStatus{}, false
	}
	s, ok := w.dir.readStart()
	if ok && w.startLockSeen.IsZero() {
		w.startLockSeen = time.Now()
	}
	if !ok || (s == startStatus{} && time.Since(w.startLockSeen) < emptyStartLimit) {
		return startStatus{}, false
	}
	w.reported = true
	w.task.Messages.Note("%s job %s started%s", w.task.Scheduler.Name(), w.id, onNode(s.node))
	return s, true
}

func onNode(node string) string {
	if node == "" {
		return ""
	}
	return " on " + node
}

// copyLog copies what was added to the log.
func (w *watcher) copyLog() (grew bool, err error) {
	n, change, err := w.log.CopyNew(w.task.Output)
	switch change {
	case tail.Truncated:
		w.task.Messages.Warn("the job's output file was truncated; its new content follows")
	case tail.Replaced:
		w.task.Messages.Warn("the job's output file was replaced; the new file follows")
	case tail.Refused:
		w.task.Messages.Warn("the job's output file was replaced by something that is not a file; the original file is still shown")
	}
	return n > 0, err
}

// copyRest copies the rest of the log after the script has ended; size is the length
// of the log in bytes, -1 when unknown. It must not be called before watch returned.
func (w *watcher) copyRest(ctx context.Context, size int64) error {
	defer w.log.Close()
	complete, err := w.log.CopyRest(ctx, w.task.Output, size, w.task.Settings.NFSTimeout)
	if err == nil && !complete && ctx.Err() == nil {
		w.task.Messages.Warn("the end of the job's output did not appear within %v; it may be incomplete", w.task.Settings.NFSTimeout)
	}
	return err
}

// poller queries the batch system for the state of one job at intervals. It runs
// concurrently, so that a controller that hangs blocks nothing else.
type poller struct {
	task   Task
	id     scheduler.ID
	states chan scheduler.State
	urgent chan struct{} // closed to query often, while the outcome is awaited
}

func (t Task) newPoller(id scheduler.ID) *poller {
	return &poller{task: t, id: id, states: make(chan scheduler.State), urgent: make(chan struct{})}
}

func (p *poller) run(ctx context.Context) {
	pace := newPace(p.task.Settings, p.task.Few)
	urgent, began := p.urgent, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-urgent:
			urgent = nil
			pace.hurry()
		case <-time.After(pace.next()):
		}
		begin := time.Now()
		s := p.task.queryState(ctx, p.id)
		select {
		case <-ctx.Done():
			return
		case p.states <- s:
		}
		pace.after(s, time.Since(began), time.Since(begin))
	}
}

// queryState runs the scheduler's queries until one shows the job's state.
func (t Task) queryState(ctx context.Context, id scheduler.ID) scheduler.State {
	if id == "" {
		return scheduler.State{Missing: true}
	}
	return scheduler.Resolve(t.Scheduler.Queries(id, t.Settings.SlurmSacct), func(c scheduler.Command) scheduler.Reply {
		return t.runCommand(ctx, c, queryLimit)
	})
}
