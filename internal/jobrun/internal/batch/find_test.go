package batch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/pbs"
)

// unnamedJob is a job in the list of a batch system that lists no names.
type unnamedJob struct{ owner, name string }

// unnamedQueue is a PBS: its qselect prints ids alone. Its qstat fails before a time.
type unnamedQueue struct {
	mu      sync.Mutex
	jobs    map[string]unnamedJob // by their ids
	failing scheduler.Reply
	until   time.Time
	deleted []string
}

func (q *unnamedQueue) Run(_ context.Context, c scheduler.Command) scheduler.Reply {
	q.mu.Lock()
	defer q.mu.Unlock()
	id := c.Argv[len(c.Argv)-1]
	switch {
	case c.Argv[0] == "qselect":
		var ids strings.Builder
		for id := range q.jobs {
			fmt.Fprintln(&ids, id)
		}
		return scheduler.Reply{Stdout: ids.String()}
	case c.Argv[0] == "qdel":
		q.deleted = append(q.deleted, id)
		delete(q.jobs, id)
		return scheduler.Reply{}
	case slices.Contains(c.Argv, "json"):
		return scheduler.Reply{Code: 2, Stderr: "qstat: invalid option -- 'F'\n"}
	case time.Now().Before(q.until):
		return q.failing
	}
	job, ok := q.jobs[id]
	if !ok {
		return scheduler.Reply{Code: 153, Stderr: "qstat: Unknown Job Id " + id + "\n"}
	}
	return scheduler.Reply{Stdout: fmt.Sprintf("Job Id: %s\n    Job_Name = %s\n    Job_Owner = %s@login1\n    job_state = R\n", id, job.name, job.owner)}
}

// TestFindUnnamed: where a list has no names, a submission is the job of its user and name;
// while that cannot be determined of any job, the record stays.
func TestFindUnnamed(t *testing.T) {
	const name = "ci-runner-1"
	busy := scheduler.Reply{Code: 1, Stderr: "qstat: End of File\n"}
	for title, tt := range map[string]struct {
		jobs    map[string]unnamedJob
		failing scheduler.Reply
		lasts   time.Duration
		deleted []string
		fault   string
	}{
		"none":                         {},
		"its own":                      {jobs: map[string]unnamedJob{"1.s": {"alice", name}}, deleted: []string{"1.s"}},
		"of another user":              {jobs: map[string]unnamedJob{"1.s": {"bob", name}}},
		"of another name":              {jobs: map[string]unnamedJob{"1.s": {"alice", "simulation"}}},
		"one of several":               {jobs: map[string]unnamedJob{"1.s": {"bob", name}, "2.s": {"alice", name}, "3.s": {"alice", "simulation"}}, deleted: []string{"2.s"}},
		"not determined at first":      {jobs: map[string]unnamedJob{"1.s": {"alice", name}}, failing: busy, lasts: 10 * time.Second, deleted: []string{"1.s"}},
		"not determined":               {jobs: map[string]unnamedJob{"1.s": {"alice", name}}, failing: busy, lasts: time.Hour, fault: "(qstat: End of File)"},
		"not determined within a time": {jobs: map[string]unnamedJob{"1.s": {"alice", name}}, failing: scheduler.Reply{Err: errTimeout}, lasts: time.Hour, fault: "timed out"},
	} {
		t.Run(title, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				q := &unnamedQueue{jobs: tt.jobs, failing: tt.failing, until: time.Now().Add(tt.lasts)}
				w.task.Scheduler, w.task.Commands = pbs.PBS{}, q
				addOrphan(t, w, "1", name, record{Scheduler: "PBS", ID: "1.s"})
				err := w.task.Cleanup()
				if (err != nil) != (tt.fault != "") || err != nil && !strings.HasSuffix(err.Error(), tt.fault) || w.hasRecord() != (err != nil) {
					t.Errorf("%v, recorded %v, want %q", err, w.hasRecord(), tt.fault)
				}
				if !slices.Equal(q.deleted, tt.deleted) {
					t.Errorf("deleted: %q, want %q", q.deleted, tt.deleted)
				}
			})
		})
	}
}

// TestAbsence: a submission of unknown id must be absent for a while before its record is
// removed: the controller may still be processing it.
func TestAbsence(t *testing.T) {
	for id, least := range map[scheduler.ID]time.Duration{"": absenceTime, "42": 0} {
		simulate(t, func(t *testing.T, w *simulator) {
			addOrphan(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: id})
			begin := time.Now()
			err := w.task.Cleanup()
			if took := time.Since(begin); err != nil || w.hasRecord() || took < least || took >= least+longPoll {
				t.Errorf("id %q: %v after %v, recorded %v", id, err, took, w.hasRecord())
			}
		})
	}
}

// TestHiddenFromList: a job that is not in the list is cancelled by its name, once, before its
// record is removed: a site or a user may have configured what the list leaves out.
func TestHiddenFromList(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		addOrphan(t, w, "1", w.task.Name, record{Scheduler: "Slurm", Clusters: "west"})
		if err := w.task.Cleanup(); err != nil || w.hasRecord() {
			t.Errorf("%v, recorded %v", err, w.hasRecord())
		}
		if _, named := w.called("scancel", "-M", "west", "-u", "alice", "-n", w.task.Name); !named || w.count("scancel") != 1 {
			t.Errorf("cancelled by name: %v, %d cancels, want one by its name", named, w.count("scancel"))
		}
	})
}

// TestUnclearSubmission: the job's log has what is known of a reply that shows no outcome.
func TestUnclearSubmission(t *testing.T) {
	timedOut := "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
	for want, reply := range map[string]scheduler.Reply{
		"(timed out)": {Err: errTimeout},
		"(timed out, after it printed: sbatch: waiting for a token)": {Err: errTimeout, Stderr: "sbatch: waiting for a token"},
		"(it printed nothing)": {Code: 139},
		"(Batch job submission failed: Socket timed out on send/recv operation)": {Code: 1, Stderr: timedOut},
	} {
		simulate(t, func(t *testing.T, w *simulator) {
			w.set("sbatch", reply)
			err, _ := w.run(noStop())
			if line := "no clear reply to the submission " + want; outcomeOf(err) != "system" || !strings.Contains(w.log.String(), line) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q in\n%s", err, line, w.log)
			}
		})
	}
}
