package batch

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/pbs"
	"jacamar-ci/internal/jobrun/internal/scheduler/slurm"
)

// TestSignalWithoutReason: the job's log explains the failure of a script that was sent
// SIGTERM, unless the batch system does, or the CI job is stopped.
func TestSignalWithoutReason(t *testing.T) {
	for _, tt := range []struct {
		name   string
		code   int
		sent   bool
		state  string // in Slurm, after the end; "" when it has forgotten the job
		stop   time.Duration
		want   bool
		within time.Duration // of the end
	}{
		{"no reason", 143, true, "RUNNING", 0, true, terminatedReasonLimit + time.Second},
		{"another exit code", 1, true, "RUNNING", 0, true, terminatedReasonLimit + time.Second},
		{"forgotten", 143, true, "", 0, true, 2 * reasonLimit},
		{"a reason", 143, true, "TIMEOUT", 0, false, reasonLimit},
		{"it succeeds", 0, true, "RUNNING", 0, false, terminatedReasonLimit + time.Second},
		{"no signal", 7, false, "RUNNING", 0, false, 2 * reasonLimit},
		{"stopped", 143, true, "RUNNING", time.Minute + time.Second, false, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.onSubmit = func() {
					w.start()
					time.AfterFunc(time.Minute, func() {
						w.finish(tt.code, tt.sent, tt.state)
						if tt.state == "" {
							w.forget()
							time.AfterFunc(300*time.Millisecond, w.forget)
						}
					})
				}
				err, took := w.run(stopAfter(tt.stop, 0))
				const note = "the usual reason is a time limit"
				if strings.Contains(w.log.String(), note) != tt.want || took > time.Minute+tt.within {
					t.Errorf("%v after %v, want %q: %v in\n%s", err, took, note, tt.want, w.log)
				}
			})
		})
	}
}

// TestAdvice: a request that was too small is explained by an example of an option where
// the batch system has one, and never by an empty one.
func TestAdvice(t *testing.T) {
	examples := 0
	for name, s := range all {
		for _, class := range []scheduler.Class{scheduler.TimeLimit, scheduler.MemoryLimit, scheduler.Deadline} {
			_, hint := failure.ForUser(Task{Scheduler: s}.outcome("5", nil, true, scheduler.State{Phase: scheduler.Done, Class: class}), false, "")
			want := ""
			if a, ok := s.(scheduler.Hinter); ok {
				want = a.Advice(class)
			}
			if shown := strings.Contains(hint, ", for example "); shown != (want != "") || shown && !strings.Contains(hint, ", for example "+want) {
				t.Errorf("%s, class %d: %q, want an example %q", name, class, hint, want)
			}
			if want != "" {
				examples++
			}
		}
	}
	if examples == 0 {
		t.Error("no batch system has an example")
	}
}

// TestOutcomeNames: what a failure contains of the batch system's record.
func TestOutcomeNames(t *testing.T) {
	done := func(e scheduler.Exit) scheduler.State {
		return scheduler.State{Phase: scheduler.Done, Name: "FAILED", Exit: e}
	}
	cancelled := func(by string) scheduler.State {
		return scheduler.State{Phase: scheduler.Done, Class: scheduler.Cancelled, By: by}
	}
	for _, tt := range []struct {
		state scheduler.State
		want  string
	}{
		{cancelled(""), "Slurm job 5 was cancelled, not by this CI job"},
		{cancelled("1001"), "Slurm job 5 was cancelled by uid 1001, not by this CI job"},
		{done(scheduler.Exit{}), "ended (FAILED) and its script"},
		{done(scheduler.Exit{Known: true, Code: 75}), "ended (FAILED, exit code 75) and its script"},
		{done(scheduler.Exit{Known: true, Signal: 9}), "ended (FAILED, exit code 0, signal 9) and its script"},
		{done(scheduler.Exit{Code: 500, Signal: 200}), "ended (FAILED) and its script"}, // not an exit status
	} {
		if err := (Task{Scheduler: slurm.Slurm{}}).outcome("5", nil, true, tt.state); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}

// TestUsageQueries: the accounting is queried where it can have a record, until that is
// complete, and not for long.
func TestUsageQueries(t *testing.T) {
	for name, tt := range map[string]struct {
		system  scheduler.Scheduler
		id      scheduler.ID
		without bool // accounting
		stop    process.Stop
		slow    time.Duration
		after   time.Duration // until the record is there
		want    int
	}{
		"at once":                   {slurm.Slurm{}, "42", false, noStop(), 0, 0, 1},
		"a little later":            {slurm.Slurm{}, "42", false, noStop(), 0, usagePause / 2, 2},
		"never":                     {slurm.Slurm{}, "42", false, noStop(), 0, time.Hour, usageTries},
		"slow":                      {slurm.Slurm{}, "42", false, noStop(), usageLimit - usagePause/2, time.Hour, 1},
		"no accounting":             {slurm.Slurm{}, "42", true, noStop(), 0, 0, 0},
		"the id is unknown":         {slurm.Slurm{}, "", false, noStop(), 0, 0, 0},
		"stopped":                   {slurm.Slurm{}, "42", false, process.Stop{Terminate: closedChannel()}, 0, 0, 0},
		"the batch system has none": {pbs.PBS{}, "42", false, noStop(), 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.task.Scheduler, w.task.Settings.SlurmSacct = tt.system, !tt.without
				w.delay("sacct", tt.slow)
				w.set("sacct", scheduler.Reply{Stdout: "42|60|00:00.000|2||n1\n"})
				recorded := scheduler.Reply{Stdout: "42|60|01:30.000|2||n1\n"}
				if tt.after == 0 {
					w.set("sacct", recorded)
				}
				time.AfterFunc(tt.after, func() { w.set("sacct", recorded) })
				synctest.Wait()
				begin := time.Now()
				u := (&submittedJob{Task: w.task, id: tt.id, stop: tt.stop}).usage()
				if n := w.count("sacct"); n != tt.want || len(w.calls) != n {
					t.Errorf("%v, want %d queries", w.calls, tt.want)
				}
				if complete := u.CPU == 90*time.Second; complete != (tt.want > 0 && tt.after < time.Hour) || time.Since(begin) > usageLimit {
					t.Errorf("%+v after %v", u, time.Since(begin))
				}
			})
		})
	}
}

// TestSummaryOfTimes: the summary has a duration where it is known.
func TestSummaryOfTimes(t *testing.T) {
	at := func(second int64) time.Time { return time.Unix(1795193340+second, 0) }
	end := func(at time.Time) *endStatus { return &endStatus{at: at} }
	elapsed := scheduler.Usage{Elapsed: 7 * time.Second}
	for name, tt := range map[string]struct {
		start time.Time
		end   *endStatus
		usage scheduler.Usage
		want  string
	}{
		"all":                       {at(20), end(at(80)), elapsed, "ran: 1m0s, waited: 20s"},
		"no time of the start":      {time.Time{}, end(at(80)), elapsed, "ran: 7s"},
		"no time at all":            {time.Time{}, end(time.Time{}), scheduler.Usage{}, ""},
		"no time of the end":        {at(20), end(time.Time{}), elapsed, "ran: 7s, waited: 20s"},
		"no end":                    {at(20), nil, elapsed, "ran: 7s, waited: 20s"},
		"no end, and no accounting": {at(20), nil, scheduler.Usage{}, "waited: 20s"},
		"started at once":           {at(0), end(at(0)), elapsed, "ran: 0s, waited: 0s"},
		"another clock":             {at(-20), end(at(80)), elapsed, "ran: 1m40s"},
	} {
		r := submittedJob{submitted: at(0), startStatus: startStatus{at: tt.start}, endStatus: tt.end}
		if got := strings.Join(r.summary(tt.usage), ", "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
