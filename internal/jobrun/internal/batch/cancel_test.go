package batch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/proctree"
)

// TestStop stops jobs in every state.
func TestStop(t *testing.T) {
	const stopTime = 20 * time.Second
	tests := []struct {
		name   string
		act    func(w *simulator)
		abort  time.Duration // 0: none
		want   string
		within time.Duration // after stopTime
		signal bool
		cancel bool // scancel without a signal was sent
		left   bool // a record is left
	}{
		{"the script ends after the signal", func(w *simulator) {
			w.start()
			w.onSignal = func() { time.AfterFunc(3*time.Second, func() { w.print("bye\n"); w.finish(3, true, "FAILED") }) }
		}, 0, "exit 3", 6 * time.Second, true, true, false},
		{"the script exits with 0 after the signal", func(w *simulator) {
			w.start()
			w.onSignal = func() { w.finish(0, true, "COMPLETED") }
		}, 0, "exit 143", 3 * time.Second, true, true, false},
		{"the script does not end", func(w *simulator) { w.start() }, 0, "exit 143", 14 * time.Second, true, true, false},
		{"aborted", func(w *simulator) { w.start() }, stopTime + 2*time.Second, "exit 143", 4 * time.Second, true, true, false},
		{"pending", func(*simulator) {}, 0, "exit 143", 4 * time.Second, false, true, false},
		{"cancelling hangs", func(w *simulator) {
			w.start()
			time.AfterFunc(stopTime, func() { w.delay("scancel", time.Hour) })
		}, 0, "exit 143", 2 * time.Minute, true, true, true},
		{"cancelling fails once", func(w *simulator) {
			w.start()
			time.AfterFunc(stopTime, func() { w.set("scancel", scheduler.Reply{Code: 1, Stderr: "scancel: error: Socket timed out"}) })
			time.AfterFunc(stopTime+15*time.Second, func() { w.restore("scancel") })
		}, 0, "exit 143", 30 * time.Second, true, true, false},
		{"slow to end", func(w *simulator) {
			w.start()
			w.onCancel = func() {
				w.state("COMPLETING", "n1", "None")
				time.AfterFunc(20*time.Second, func() { w.state("CANCELLED", "n1", "None") })
			}
		}, 0, "exit 143", 40 * time.Second, true, true, false},
		{"a query hangs meanwhile", func(w *simulator) {
			w.start()
			time.AfterFunc(stopTime-time.Second, func() { w.delay("squeue", 20*time.Second) })
		}, 0, "exit 143", 70 * time.Second, true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.onSubmit = func() { tt.act(w) }
				err, took := w.run(stopAfter(stopTime, tt.abort))
				if got := outcomeOf(err); got != tt.want {
					t.Errorf("%s (%v), want %s\n%s", got, err, tt.want, w.log)
				}
				if took-stopTime > tt.within {
					t.Errorf("took %v after the stop, want at most %v", took-stopTime, tt.within)
				}
				at, signalled := w.called("scancel", "--full", "-s", "TERM", "42")
				if signalled != tt.signal {
					t.Errorf("signalled: %v, want %v", signalled, tt.signal)
				}
				if signalled && time.Since(at) < took-stopTime-time.Second {
					t.Error("the signal was late")
				}
				if _, ok := w.called("scancel", "42"); ok != tt.cancel {
					t.Errorf("cancelled: %v, want %v", ok, tt.cancel)
				}
				if w.hasRecord() != tt.left {
					t.Errorf("a record is left: %v, want %v", w.hasRecord(), tt.left)
				}
				const line = "the script of Slurm job 42 has not ended within 10s of SIGTERM; the job is cancelled, which kills it"
				deaf := tt.signal && tt.abort == 0 && !strings.Contains(tt.name, "after the signal")
				if strings.Contains(w.log.String(), line) != deaf {
					t.Errorf("a line on the script that does not end: %v, want %v\n%s", !deaf, deaf, w.log)
				}
			})
		})
	}
}

// A pending job that was abandoned can never run its script, whatever Slurm does.
func TestAbandonedJobNeverRuns(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.onSubmit = func() { time.AfterFunc(10*time.Second, func() { w.delay("scancel", time.Hour) }) }
		if err, _ := w.run(stopAfter(20*time.Second, 0)); err == nil {
			t.Fatal("a stopped job succeeded")
		}
		if w.task.dir().takeStartLock() {
			t.Error("the start lock is still free: the wrapper would run the script")
		}
	})
}

// TestSubmit covers submissions that are not simply accepted.
func TestSubmit(t *testing.T) {
	works := func(w *simulator) { w.onSubmit = func() { w.start(); w.finish(0, false, "COMPLETED") } }
	down := scheduler.Reply{Code: 1, Stderr: "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"}
	tests := []struct {
		name        string
		act         func(w *simulator)
		want, text  string
		within      time.Duration
		submissions int
		left        bool
	}{
		{"refused", func(w *simulator) {
			w.set("sbatch", scheduler.Reply{Code: 1, Stderr: "Welcome!\nsbatch: error: Batch job submission failed: Invalid account"})
		}, "build", "Batch job submission failed: Invalid account", time.Second, 1, false},
		{"not found", func(w *simulator) { w.set("sbatch", scheduler.Reply{Err: notStarted{error: errNotFound}}) }, "system", "not found", 5 * time.Second, 1, false},
		{"the controller comes back", func(w *simulator) {
			works(w)
			w.set("sbatch", down)
			time.AfterFunc(time.Minute, func() { w.restore("sbatch") })
		}, "success", "", 2 * time.Minute, 7, false},
		{"the controller stays away", func(w *simulator) {
			w.set("sbatch", down)
			w.set("squeue", scheduler.Reply{Code: 1, Stderr: "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"})
		}, "system", "is unreachable", 6 * time.Minute, 0, false},
		{"accepted despite an error", func(w *simulator) {
			w.set("sbatch", scheduler.Reply{Code: 1, Stderr: "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"})
			time.AfterFunc(40*time.Second, func() { w.restore("squeue"); w.submit(nil); w.start(); w.finish(0, false, "COMPLETED") })
			w.set("squeue", scheduler.Reply{Code: 1, Stderr: "slurm_load_jobs error: Socket timed out on send/recv operation"})
		}, "success", "", 2 * time.Minute, 1, false},
		{"hangs after it was accepted", func(w *simulator) {
			w.delay("sbatch", time.Hour)
			time.AfterFunc(time.Second, func() {
				w.submit(nil)
				time.AfterFunc(3*time.Minute, func() { w.start(); w.finish(0, false, "COMPLETED") })
			})
		}, "success", "", 4 * time.Minute, 1, false},
		{"not accepted", func(w *simulator) { w.set("sbatch", scheduler.Reply{Stdout: "garbage"}) }, "system", "did not accept the job", time.Minute, 1, false},
		{"two ids", func(w *simulator) { w.set("sbatch", scheduler.Reply{Stdout: "1\n2\n"}) }, "system", "did not accept", time.Minute, 1, false},
		{"unknown outcome", func(w *simulator) {
			w.set("sbatch", scheduler.Reply{Err: errTimeout})
			w.set("squeue", scheduler.Reply{Err: errTimeout})
		}, "system", "cannot determine whether", 8 * time.Minute, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				tt.act(w)
				err, took := w.run(noStop())
				if got := outcomeOf(err); got != tt.want {
					t.Errorf("%s (%v), want %s\n%s", got, err, tt.want, w.log)
				}
				if err != nil && !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%v does not contain %q", err, tt.text)
				}
				if took > tt.within {
					t.Errorf("took %v, want at most %v", took, tt.within)
				}
				if n := w.count("sbatch"); tt.submissions > 0 && n != tt.submissions {
					t.Errorf("%d submissions, want %d", n, tt.submissions)
				}
				if w.hasRecord() != tt.left {
					t.Errorf("a record is left: %v, want %v", w.hasRecord(), tt.left)
				}
			})
		})
	}
}

// A stop during a submission waits for the reply, but not indefinitely.
func TestStopDuringSubmission(t *testing.T) {
	for _, tt := range []struct {
		name   string
		takes  time.Duration
		cancel string // the argument of scancel
		within time.Duration
	}{
		{"reply in time", 5 * time.Second, "42", 10 * time.Second},
		{"no reply", time.Hour, "", 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.delay("sbatch", tt.takes)
				err, took := w.run(stopAfter(time.Second, 0))
				if outcomeOf(err) != "exit 143" || took > tt.within {
					t.Errorf("%v after %v\n%s", err, took, w.log)
				}
				if _, ok := w.called("scancel", "42"); tt.cancel != "" && !ok {
					t.Errorf("not cancelled: %v", w.calls)
				}
			})
		})
	}
}

// addOrphan creates what a dead process leaves behind: a submission with its record.
func addOrphan(t *testing.T, w *simulator, ci, name string, r record) directory {
	t.Helper()
	scripts := filepath.Join(filepath.Dir(w.task.Scripts.String()), ci)
	if err := os.MkdirAll(scripts, 0o700); err != nil {
		t.Fatal(err)
	}
	d := directory(filepath.Join(scripts, name))
	if err := d.create([]byte("true"), bashWrapper(d)); err != nil {
		t.Fatal(err)
	}
	r.Name = name
	if err := d.write(r); err != nil {
		t.Fatal(err)
	}
	return d
}

// A new job cancels the orphans of dead processes of its own host, user and runner,
// and no others.
func TestCancelOrphans(t *testing.T) {
	dead := proctree.Process{PID: 1 << 22, Start: 1, Boot: proctree.Boot()}
	self, _ := proctree.Find(os.Getpid())
	tests := []struct {
		name  string
		r     record
		ended bool
	}{
		{"dead, with an id", record{Scheduler: "Slurm", ID: "41", Host: "here", Process: dead}, true},
		{"dead, without an id", record{Scheduler: "Slurm", Host: "here", Process: dead}, true},
		{"alive", record{Scheduler: "Slurm", ID: "41", Host: "here", Process: self}, false},
		{"of another host", record{Scheduler: "Slurm", ID: "41", Host: "there", Process: dead}, false},
		{"of another batch system", record{Scheduler: "PBS", ID: "41", Host: "here", Process: dead}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				d := addOrphan(t, w, "0", "ci-runner-0", tt.r)
				w.name = "ci-runner-0"
				w.state("RUNNING", "n1", "None")
				w.task.CancelOrphans(t.Context())
				_, cancelled := w.called("scancel")
				if cancelled != tt.ended {
					t.Errorf("cancelled: %v, want %v (%v)", cancelled, tt.ended, w.calls)
				}
				if _, err := os.Stat(d.path(recordFile)); (err != nil) != tt.ended {
					t.Errorf("the record: %v", err)
				}
				if reported := strings.Contains(w.log.String(), "ci-runner-0"); reported != tt.ended {
					t.Errorf("the log: %q", w.log)
				}
			})
		})
	}
}

// A job without orphans sends no query to the controller.
func TestNoOrphans(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.task.CancelOrphans(t.Context())
		if len(w.calls) != 0 {
			t.Errorf("%v", w.calls)
		}
	})
}

// Cleanup cancels recorded submissions of any process and reports failures.
func TestCleanup(t *testing.T) {
	self, _ := proctree.Find(os.Getpid())
	t.Run("nothing to do", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			if err := w.task.Cleanup(); err != nil || len(w.calls) != 0 {
				t.Errorf("%v, %v", err, w.calls)
			}
		})
	})
	t.Run("running", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			d := addOrphan(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: "42", Host: "here", Process: self})
			w.name = w.task.Name
			w.state("RUNNING", "n1", "None")
			if err := w.task.Cleanup(); err != nil {
				t.Error(err)
			}
			if _, ok := w.called("scancel", "42"); !ok {
				t.Error("not cancelled")
			}
			if _, err := os.Stat(string(d)); err == nil {
				t.Error("the files are still there")
			}
		})
	})
	t.Run("ended long ago", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			addOrphan(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: "42"})
			if err := w.task.Cleanup(); err != nil || w.hasRecord() {
				t.Errorf("%v, record left: %v", err, w.hasRecord())
			}
		})
	})
	t.Run("its number belongs to another job now", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			addOrphan(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: "42"})
			w.name = "simulation"
			w.state("RUNNING", "n1", "None")
			if err := w.task.Cleanup(); err != nil || w.hasRecord() {
				t.Errorf("%v, record left: %v", err, w.hasRecord())
			}
			if _, ok := w.called("scancel", "42"); ok {
				t.Errorf("another job was cancelled: %v", w.calls)
			}
			if _, named := w.called("scancel", "-n", w.task.Name); !named || w.count("scancel") != 1 {
				t.Errorf("%d cancels, want one by the name: %v", w.count("scancel"), w.calls)
			}
		})
	})
	t.Run("started, of unknown id, and without a record in Slurm", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			d := addOrphan(t, w, "1", w.task.Name, record{Scheduler: "Slurm"})
			if !d.takeStartLock() {
				t.Fatal("cannot take the start lock")
			}
			if err := w.task.Cleanup(); err != nil || w.hasRecord() {
				t.Errorf("%v, record left: %v", err, w.hasRecord())
			}
		})
	})
	t.Run("the controller is down", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			addOrphan(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: "42"})
			for _, p := range []string{"squeue", "scontrol", "scancel"} {
				w.set(p, scheduler.Reply{Code: 1, Stderr: p + ": error: Unable to contact slurm controller"})
			}
			begin := time.Now()
			if err := w.task.Cleanup(); err == nil || !strings.Contains(err.Error(), w.task.Name) {
				t.Errorf("%v does not name the job", err)
			}
			if took := time.Since(begin); took > cleanupLimit+time.Minute || !w.hasRecord() {
				t.Errorf("took %v, record left: %v", took, w.hasRecord())
			}
		})
	})
	t.Run("a record with another name", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			d := addOrphan(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: "42"})
			if err := os.WriteFile(d.path(recordFile), []byte(`{"name":"../../other","id":"1"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := w.task.Cleanup(); err != nil || len(w.calls) != 0 {
				t.Errorf("%v, %v", err, w.calls)
			}
		})
	})
}

func TestName(t *testing.T) {
	if got := Name("abc", 7, job.BuildScript); got != "ci-abc-7" {
		t.Error(got)
	}
	if got := Name("abc", 7, "step_release"); got != "ci-abc-7-step_release" {
		t.Error(got)
	}
}
