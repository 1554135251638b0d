package batch

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/sge"
	"jacamar-ci/internal/jobrun/internal/scheduler/slurm"
	"jacamar-ci/internal/proctree"
)

// TestUnconfirmed: the job's log has the reason why a job may still run.
func TestUnconfirmed(t *testing.T) {
	timedOut := scheduler.Reply{Code: 1, Stderr: "scancel: error: Socket timed out on send/recv operation"}
	for want, act := range map[string]func(w *simulator){
		"it is still ending":  func(w *simulator) { w.onCancel = func() { w.state("COMPLETING", "n1", "None") } },
		"timed out":           func(w *simulator) { w.delay("scancel", time.Hour) },
		"Socket timed out on": func(w *simulator) { w.set("scancel", timedOut) },
		"Slurm does not respond": func(w *simulator) {
			for _, program := range []string{"squeue", "scontrol"} {
				w.set(program, scheduler.Reply{Code: 1, Stderr: "Unable to contact slurm controller"})
			}
		},
		"not found": func(w *simulator) { w.set("scancel", scheduler.Reply{Err: notStarted{error: errNotFound}}) },
	} {
		t.Run(want, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.onSubmit = func() {
					w.start()
					time.AfterFunc(time.Minute, func() { act(w) })
				}
				err, took := w.run(stopAfter(2*time.Minute, 0))
				line := "cannot confirm that Slurm job 42 ended: " + want
				if outcomeOf(err) != "exit 143" || !strings.Contains(w.log.String(), line) || !w.hasRecord() {
					t.Errorf("%v, recorded %v, want %q in\n%s", err, w.hasRecord(), line, w.log)
				}
				// What is not found now is not found in the next minute either.
				if quick := took < 2*time.Minute+15*time.Second; quick != (want == "not found") {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestStopBeforeTheStartIsNoticed: a script gets a signal also when its wrapper has only
// just started.
func TestStopBeforeTheStartIsNoticed(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.onSubmit = func() {
			time.AfterFunc(10*time.Second, func() {
				w.put(startedFile, "")
				w.state("RUNNING", "n1", "None")
			})
		}
		w.onSignal = func() { w.finish(3, true, "FAILED") }
		if err, _ := w.run(stopAfter(10*time.Second+emptyStartLimit/2, 0)); outcomeOf(err) != "exit 3" {
			t.Errorf("%v\n%s", err, w.log)
		}
	})
}

// TestStateAfterSignal: once the batch system has the end of a job, nothing is awaited; in
// another state the script has its time to end.
func TestStateAfterSignal(t *testing.T) {
	for _, tt := range []struct {
		state, want string
		from, to    time.Duration // after the stop
	}{
		{"CANCELLED", "exit 143", 0, 2 * maxPoll},
		{"RUNNING", "exit 3", 30 * time.Minute, 31 * time.Minute},
	} {
		t.Run(tt.state, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.task.Settings.CancelGrace = time.Hour
				w.onSubmit = w.start
				w.onSignal = func() {
					w.state(tt.state, "n1", "None")
					if tt.state == "RUNNING" {
						time.AfterFunc(30*time.Minute, func() { w.finish(3, true, "FAILED") })
					}
				}
				err, took := w.run(stopAfter(time.Minute, 0))
				if took -= time.Minute; outcomeOf(err) != tt.want || took < tt.from || took > tt.to {
					t.Errorf("%v after %v\n%s", err, took, w.log)
				}
			})
		})
	}
}

// TestNoSignal: without a way to send it, and after an abort, there is no signal and no
// wait for its effect.
func TestNoSignal(t *testing.T) {
	for name, tt := range map[string]struct {
		system scheduler.Scheduler
		id     scheduler.ID
		stop   process.Stop
	}{
		"the batch system sends none": {sge.SGE{}, "42", noStop()},
		"the id is unknown":           {slurm.Slurm{}, "", noStop()},
		"aborted":                     {slurm.Slurm{}, "42", process.Stop{Abort: closedChannel()}},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.task.Scheduler = tt.system
				r := submittedJob{Task: w.task, id: tt.id, stop: tt.stop, watcher: &watcher{}, poller: &poller{}}
				begin := time.Now()
				r.signalScript()
				synctest.Wait()
				if took := time.Since(begin); took > 0 || len(w.calls) > 0 {
					t.Errorf("%v, took %v", w.calls, took)
				}
			})
		})
	}
}

func closedChannel() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// namesakes is a Slurm with jobs 41 and 42 of one name.
type namesakes struct {
	name      string
	mu        sync.Mutex
	takes     map[string]time.Duration // to end, by the id
	silent    string                   // the id of a job whose state is unknown
	cancelled map[string]time.Time
}

func (n *namesakes) Run(_ context.Context, c scheduler.Command) scheduler.Reply {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch last := c.Argv[len(c.Argv)-1]; {
	case c.Argv[0] == "scancel":
		n.cancelled[last] = time.Now()
		return scheduler.Reply{}
	case c.Argv[0] == "squeue" && slices.Contains(c.Argv, "-u"):
		var rows strings.Builder
		for _, id := range []string{"41", "42"} {
			rows.WriteString(id + "|" + n.name + "|" + n.row(id))
		}
		return scheduler.Reply{Stdout: rows.String()}
	case c.Argv[0] == "squeue":
		id := c.Argv[slices.Index(c.Argv, "-j")+1]
		if id == n.silent {
			return scheduler.Reply{Code: 1, Stderr: "Unable to contact slurm controller"}
		}
		return scheduler.Reply{Stdout: n.row(id)}
	}
	return scheduler.Reply{Code: 1, Stderr: "nothing is known"}
}

func (n *namesakes) row(id string) string {
	at, cancelled := n.cancelled[id]
	switch {
	case !cancelled:
		return "RUNNING|N/A|n1|None\n"
	case time.Since(at) < n.takes[id]:
		return "COMPLETING|N/A|n1|None\n"
	}
	return "CANCELLED|N/A|n1|None\n"
}

// TestNamesakes: a record stays until every job of its name has ended.
func TestNamesakes(t *testing.T) {
	for name, tt := range map[string]struct {
		takes  map[string]time.Duration
		silent string
		fault  string
	}{
		"both end at once":          {},
		"one is slow":               {takes: map[string]time.Duration{"41": 20 * time.Second}},
		"the other one is slow":     {takes: map[string]time.Duration{"42": 20 * time.Second}},
		"one is never seen to end":  {takes: map[string]time.Duration{"41": time.Hour}, silent: "41", fault: "Slurm does not respond"},
		"the other does not end":    {takes: map[string]time.Duration{"42": time.Hour}, fault: "it is still ending"},
		"the other is not seen end": {takes: map[string]time.Duration{"42": time.Hour}, silent: "42", fault: "Slurm does not respond"},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				n := &namesakes{name: w.task.Name, takes: tt.takes, silent: tt.silent, cancelled: map[string]time.Time{}}
				w.task.Commands = n
				addOrphan(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: "41"})
				err := w.task.Cleanup()
				if (err != nil) != (tt.fault != "") || err != nil && !strings.HasSuffix(err.Error(), tt.fault) || w.hasRecord() != (err != nil) {
					t.Errorf("%v, recorded %v, want %q", err, w.hasRecord(), tt.fault)
				}
				for _, id := range []string{"41", "42"} {
					if err == nil && n.row(id) != "CANCELLED|N/A|n1|None\n" {
						t.Errorf("job %s has not ended", id)
					}
				}
			})
		})
	}
}

// TestOrphanThatStays: a new job warns of an earlier one that it cannot end, and does not
// claim to have cancelled it.
func TestOrphanThatStays(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		dead := proctree.Process{PID: 1 << 22, Start: 1, Boot: proctree.Boot()}
		d := addOrphan(t, w, "0", "ci-runner-0", record{Scheduler: "Slurm", ID: "41", Host: "here", Process: dead})
		w.name = "ci-runner-0"
		w.state("RUNNING", "n1", "None")
		w.delay("scancel", time.Hour)
		begin := time.Now()
		w.task.CancelOrphans(t.Context())
		const warning = "ci-runner-0, left behind by an earlier job of yours: cannot confirm"
		if log := w.log.String(); !strings.Contains(log, warning) || strings.Contains(log, "cancelled the Slurm job") || time.Since(begin) > orphansLimit {
			t.Errorf("after %v: %s", time.Since(begin), log)
		}
		if _, err := os.Stat(d.path(recordFile)); err != nil {
			t.Error(err)
		}
	})
}
