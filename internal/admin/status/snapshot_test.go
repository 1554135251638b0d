package status

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
)

// batchAt is an event of the batch system some minutes after now.
func batchAt(minutes int, phase string) journal.Event {
	return journal.At(now.Add(time.Duration(minutes)*time.Minute), journal.Batch, journal.Context{Job: 4, BatchID: "9", Phase: phase})
}

// TestNewJobTimesAndNumber: a job begins with its first event. Its number is that of its
// events, and a live job has one before it has an event.
func TestNewJobTimesAndNumber(t *testing.T) {
	at := func(minute int, c journal.Context) journal.Event {
		return journal.At(now.Add(time.Duration(minute)*time.Minute), journal.Settled, c)
	}
	key := journal.Key{UID: 1, Project: 2, Job: 5}
	for name, tt := range map[string]struct {
		record journal.Record
		id     string
		took   time.Duration
	}{
		"events":                         {journal.Record{Events: []journal.Event{at(0, journal.Context{Job: 4}), at(1, journal.Context{Job: 4}), at(5, journal.Context{Job: 4})}}, "4", 5 * time.Minute},
		"the last event has no number":   {journal.Record{Events: []journal.Event{at(0, journal.Context{Job: 4}), at(2, journal.Context{})}}, "4", 2 * time.Minute},
		"live without an event":          {journal.Record{Live: true, Key: key}, "5", 0},
		"ended, and no event has number": {journal.Record{Key: key, Events: []journal.Event{at(0, journal.Context{})}}, "", 0},
	} {
		j := NewJob(tt.record)
		if took := j.Last.Sub(j.Began); j.ID != tt.id || took != tt.took {
			t.Errorf("%s: job %q took %v, want %q and %v", name, j.ID, took, tt.id, tt.took)
		}
	}
}

// TestEnd: a job that was cleaned up after its runner had ended is abandoned, and so is one
// whose stages all ended well until then. A failure stays the result.
func TestEnd(t *testing.T) {
	stage := func(exit string, code int) journal.Event {
		return journal.At(now, journal.StageEnd, journal.Context{Job: 4, Stage: "build_script", Exit: exit, Code: code})
	}
	ended := func(exit string, code int) journal.Event {
		return journal.At(now, journal.Ended, journal.Context{Job: 4, Exit: exit, Code: code})
	}
	reaped := journal.At(now, journal.Reaped, journal.Context{Job: 4})
	for name, tt := range map[string]struct {
		events []journal.Event
		exit   string
		code   int
	}{
		"no end":                       {[]journal.Event{stage("ok", 0)}, "ok", 0},
		"an end without a result":      {[]journal.Event{stage("ok", 0), ended("", 0)}, "ok", 0},
		"nothing but its end":          {[]journal.Event{ended("system", 2)}, "system", 2},
		"its end failed":               {[]journal.Event{stage("ok", 0), ended("system", 2)}, "system", 2},
		"its end failed as well":       {[]journal.Event{stage("build", 3), ended("system", 2)}, "build", 3},
		"cleaned up after no stage":    {[]journal.Event{reaped}, abandoned, 0},
		"cleaned up":                   {[]journal.Event{stage("ok", 0), reaped}, abandoned, 0},
		"cleaned up after its failure": {[]journal.Event{stage("build", 3), reaped}, "build", 3},
	} {
		if j := NewJob(journal.Record{Events: tt.events}); j.Exit != tt.exit || j.Code != tt.code {
			t.Errorf("%s: %q with code %d, want %q with %d", name, j.Exit, j.Code, tt.exit, tt.code)
		}
	}
}

// TestLiveJobs: a stage and a growing time in the queue are those of a job whose stage runs,
// also after its timeout.
func TestLiveJobs(t *testing.T) {
	stage := journal.At(now, journal.Stage, journal.Context{Job: 4, Stage: "build_script"})
	for name, tt := range map[string]struct {
		running bool
		after   time.Duration // the first event
		events  []journal.Event
		state   journal.State
		stage   string
		waited  time.Duration
	}{
		"running":                {true, 5 * time.Minute, []journal.Event{stage}, journal.Running, "build_script", 0},
		"in the queue":           {true, 5 * time.Minute, []journal.Event{stage, batchAt(1, journal.PhaseSubmitted)}, journal.Running, "build_script", 4 * time.Minute},
		"pending":                {true, 5 * time.Minute, []journal.Event{stage, batchAt(1, journal.PhaseSubmitted), batchAt(2, journal.PhasePending)}, journal.Running, "build_script", 4 * time.Minute},
		"out of the queue":       {true, 5 * time.Minute, []journal.Event{stage, batchAt(1, journal.PhaseSubmitted), batchAt(2, journal.PhaseRunning)}, journal.Running, "build_script", 0},
		"overdue":                {true, 90 * time.Minute, []journal.Event{stage, batchAt(1, journal.PhaseSubmitted)}, journal.Overdue, "build_script", 89 * time.Minute},
		"between":                {false, 5 * time.Minute, []journal.Event{stage, batchAt(1, journal.PhaseSubmitted)}, journal.Between, "", 0},
		"without an event since": {false, 40 * time.Minute, []journal.Event{stage}, journal.Quiet, "", 0},
	} {
		r := record(4, 0, tt.running, nil, tt.events...)
		s := NewSnapshot(Input{Now: now.Add(tt.after), Live: []journal.Record{r}, Gone: func(proctree.Process) bool { return false }})
		j := s.Live[0]
		if j.State != tt.state || j.Stage != tt.stage || j.Waited != tt.waited.Seconds() {
			t.Errorf("%s: %s, stage %q, waited %v s; want %s, %q, %v", name, j.State, j.Stage, j.Waited, tt.state, tt.stage, tt.waited)
		}
	}
}

// TestUsageCountsFailures, and not the jobs that ended well.
func TestUsageCountsFailures(t *testing.T) {
	s := NewSnapshot(Input{Now: now, Past: pastOf(past(1, "ok", 0, 1), past(2, "script_failure", 1, 1), past(3, "script_failure", 1, 1))})
	if len(s.Usage) != 1 || s.Usage[0].Jobs != 3 || s.Usage[0].Failed != 2 {
		t.Errorf("%+v, want 2 failures of 3 jobs", s.Usage)
	}
}

// TestAttention: each problem is one notice with the numbers of its jobs; a job without one
// is in none.
func TestAttention(t *testing.T) {
	pending := func(id string, state journal.State, phase string, since time.Duration) Job {
		return Job{ID: id, State: state, Phase: phase, Last: now.Add(-since)}
	}
	for name, tt := range map[string]struct {
		live []Job
		want []string
	}{
		"no job": {nil, nil},
		"jobs without a problem": {[]Job{
			pending("1", journal.Running, journal.PhaseRunning, 5*time.Hour),
			pending("2", journal.Running, journal.PhasePending, 59*time.Minute),
			pending("3", journal.Between, journal.PhasePending, 5*time.Hour),
			pending("4", journal.Waiting, "", 5*time.Hour),
			pending("5", journal.Running, journal.PhasePending, longWait),
		}, nil},
		"every problem": {[]Job{
			{ID: "1", State: journal.Quiet},
			{ID: "2", State: journal.Unread},
			pending("3", journal.Running, journal.PhasePending, longWait+time.Second),
			{ID: "4", State: journal.Overdue},
			{ID: "5", State: journal.Ghost},
			{ID: "6", State: journal.Ghost},
		}, []string{"ghost: 2 left by a runner that has ended: 5, 6", "overdue: 1 running after their timeout: 4", "unread: 1 whose file in the journal cannot be read: 2", "quiet: 1 without an event for a long time: 1", "pending: 1 pending in the batch system for over an hour: 3"}},
	} {
		var got []string
		for _, n := range attention(tt.live, now) {
			got = append(got, n.ID+": "+n.What)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestBatchWait: the time in the queue of a batch job is counted once, when it starts or,
// if that was not seen, when it ends.
func TestBatchWait(t *testing.T) {
	submitted, pending, running, ended := journal.PhaseSubmitted, journal.PhasePending, journal.PhaseRunning, journal.PhaseEnded
	for name, tt := range map[string]struct {
		phases  []string // one a minute
		waits   int
		minutes float64
	}{
		"started":                  {[]string{submitted, pending, running, ended}, 1, 2},
		"ended at once":            {[]string{submitted, pending, ended}, 1, 2},
		"not started":              {[]string{submitted, pending, pending}, 0, 0},
		"its submission is unread": {[]string{pending, running, ended}, 0, 0},
		"two batch jobs":           {[]string{submitted, running, ended, submitted, running, ended}, 2, 2},
	} {
		var r journal.Record
		for i, phase := range tt.phases {
			r.Events = append(r.Events, batchAt(i, phase))
		}
		var c Counters
		c.count(r)
		total := 0.0
		for _, n := range c.BatchWait.Counts {
			total += n
		}
		if total != float64(tt.waits) || c.BatchWait.Sum != tt.minutes*60 {
			t.Errorf("%s: %v waits of %v s, want %d of %v minutes", name, total, c.BatchWait.Sum, tt.waits, tt.minutes)
		}
	}
}

// TestLastSuccess is the end of the newest job that ended well, in whatever order they are
// counted.
func TestLastSuccess(t *testing.T) {
	end := func(exit string, hour int) journal.Record {
		return journal.Record{Events: []journal.Event{journal.At(now.Add(time.Duration(hour)*time.Hour), journal.StageEnd, journal.Context{Job: job.ID(hour), Stage: "build_script", Exit: exit})}}
	}
	var c Counters
	for _, r := range []journal.Record{end("build", 1), end("ok", 3), end("ok", 2), end("build", 4)} {
		c.count(r)
	}
	if want := float64(now.Add(3 * time.Hour).Unix()); c.Succeeded != want {
		t.Errorf("%v, want %v", c.Succeeded, want)
	}
}

// TestMetricsOfDrainAndLongWaits (OPS/METRICS): a drain is a 1, and a wait that is longer
// than every bound counts.
func TestMetricsOfDrainAndLongWaits(t *testing.T) {
	for drain, want := range map[string]float64{"": 0, "maintenance until noon": 1} {
		var c Counters
		var out bytes.Buffer
		c.BatchWait.observe(1)
		c.BatchWait.observe(100 * 3600)
		if err := (Snapshot{Drain: drain}).Metrics(&out, c); err != nil {
			t.Fatal(err)
		}
		m := parse(t, out.String())
		if m["jacamar_drained"] != want || m["jacamar_batch_wait_seconds"] != 2 || m["jacamar_job_seconds"] != 0 {
			t.Errorf("drain %q: %v", drain, m)
		}
		for _, line := range []string{`jacamar_batch_wait_seconds_bucket{le="1"} 1`, `jacamar_batch_wait_seconds_bucket{le="86400"} 1`, `jacamar_batch_wait_seconds_bucket{le="+Inf"} 2`} {
			if !strings.Contains(out.String(), line+"\n") {
				t.Errorf("%q is not in\n%s", line, out.String())
			}
		}
	}
}
