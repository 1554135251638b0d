package batch

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/slurm"
	"jacamar-ci/internal/proctree"

	"github.com/google/go-cmp/cmp"
)

// noted is a job whose reports are collected.
func noted(t time.Time) (r *submittedJob, notes *[]ipc.BatchNote) {
	notes = new([]ipc.BatchNote)
	return &submittedJob{id: "42", submitted: t, Task: Task{Scheduler: slurm.Slurm{}, Note: func(n ipc.BatchNote) { *notes = append(*notes, n) }}}, notes
}

// TestPendingReports: the first reason why a job is pending is reported, and each other
// one, up to a number.
func TestPendingReports(t *testing.T) {
	alternating := strings.Split(strings.Repeat("a b ", maxPendingReports), " ")
	for _, tt := range []struct{ seen, want []string }{
		{[]string{"a"}, []string{"a"}},
		{[]string{""}, []string{""}},
		{[]string{"", "", ""}, []string{""}},
		{[]string{"a", "a", "b", "b", "a"}, []string{"a", "b", "a"}},
		{[]string{"", "a", ""}, []string{"", "a", ""}},
		{alternating, alternating[:maxPendingReports]},
	} {
		r, notes := noted(time.Now())
		for _, reason := range tt.seen {
			r.state.Reason.Description = reason
			r.reportWaiting()
		}
		var got []string
		for _, n := range *notes {
			got = append(got, n.Reason)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.seen, diff)
		}
	}
}

// TestEndReports: what is reported of an ended job, from the accounting or from its own
// files.
func TestEndReports(t *testing.T) {
	begin := time.Unix(1795193340, 0)
	ended := &endStatus{cpu: 3 * time.Second}
	for _, tt := range []struct {
		usage  scheduler.Usage
		status *endStatus
		start  startStatus
		want   ipc.BatchNote
	}{
		{scheduler.Usage{CPU: time.Minute, Memory: 7}, ended, startStatus{node: "n1", at: begin.Add(time.Second)}, ipc.BatchNote{CPU: 60, Peak: 7, Node: "n1", Waited: 1}},
		{scheduler.Usage{Memory: 7}, ended, startStatus{node: "n1"}, ipc.BatchNote{CPU: 3, Peak: 7, Node: "n1"}},
		{scheduler.Usage{CPU: time.Minute}, nil, startStatus{at: begin.Add(-time.Hour)}, ipc.BatchNote{CPU: 60}},
		{scheduler.Usage{}, nil, startStatus{}, ipc.BatchNote{}},
	} {
		r, notes := noted(begin)
		r.startStatus, r.endStatus = tt.start, tt.status
		r.reportEnd(tt.usage)
		tt.want.Phase, tt.want.System, tt.want.ID = ipc.Ended, "Slurm", "42"
		if diff := cmp.Diff([]ipc.BatchNote{tt.want}, *notes); diff != "" {
			t.Error(diff)
		}
	}
}

// TestSubmissions: the list of a CI job's submissions shows which of them nothing follows
// any more, as far as this host can know, and how a user cancels them.
func TestSubmissions(t *testing.T) {
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	dead := proctree.Process{PID: 1 << 22, Start: 1, Boot: proctree.Boot()}
	self, _ := proctree.Find(os.Getpid())
	for i, tt := range []struct {
		r               record
		abandoned       bool
		shown, toCancel string
	}{
		{record{Scheduler: "Slurm", ID: "41", Host: here, Process: dead}, true, "Slurm job 41", "scancel 41"},
		{record{Scheduler: "PBS", ID: "41", Host: here, Process: self}, false, "PBS job 41", "qdel 41"},
		{record{Scheduler: "Flux", ID: "f41", Host: "elsewhere", Process: dead}, false, "Flux job f41", "flux cancel f41"},
		{record{Scheduler: "LSF", Host: here, Process: dead}, true, "LSF job NAME", "look for the job NAME and cancel it"},
		{record{Scheduler: "another", ID: "41", Host: here, Process: dead}, true, "another job 41", "look for the job NAME and cancel it"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			w := newSimulator(t)
			if HasOrphans(w.task.Scripts) {
				t.Error("a submission before the first one")
			}
			addOrphan(t, w, "1", "ci-runner-1", tt.r)
			list := Submissions(w.task.Scripts)
			want := []Submission{{Name: "ci-runner-1", System: tt.r.Scheduler, ID: string(tt.r.ID), Host: tt.r.Host, Abandoned: tt.abandoned}}
			if diff := cmp.Diff(want, list); diff != "" {
				t.Fatal(diff)
			}
			if !HasOrphans(w.task.Scripts) {
				t.Error("no submission")
			}
			named := strings.NewReplacer("NAME", "ci-runner-1")
			if got, want := list[0].String(), named.Replace(tt.shown); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			if got, want := list[0].CancelCommand(), named.Replace(tt.toCancel); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// TestCancelCommands: every batch system has a command by which a user cancels a job.
func TestCancelCommands(t *testing.T) {
	for name, s := range all {
		own := strings.Join(s.Cancel("41").Argv, " ")
		if got := (Submission{System: s.Name(), ID: "41"}).CancelCommand(); got != own {
			t.Errorf("%s: %q, want %q", name, got, own)
		}
	}
}
