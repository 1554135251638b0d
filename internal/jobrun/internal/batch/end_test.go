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

// How a job is ended when the outside wants it to.
func TestStop(t *testing.T) {
	const asked = 20 * time.Second
	tests := []struct {
		name   string
		act    func(w *world)
		lost   time.Duration // 0: not
		want   string
		within time.Duration // of being asked
		signal bool
		cancel bool // scancel without a signal was sent
		left   bool // a record is left
	}{
		{"the script ends when told", func(w *world) {
			w.start()
			w.onSignal = func() { time.AfterFunc(3*time.Second, func() { w.print("bye\n"); w.finish(3, true, "FAILED") }) }
		}, 0, "exit 3", 6 * time.Second, true, true, false},
		{"the script ends well when told", func(w *world) {
			w.start()
			w.onSignal = func() { w.finish(0, true, "COMPLETED") }
		}, 0, "exit 143", 3 * time.Second, true, true, false},
		{"the script does not end", func(w *world) { w.start() }, 0, "exit 143", 14 * time.Second, true, true, false},
		{"the other half is lost", func(w *world) { w.start() }, asked + 2*time.Second, "exit 143", 4 * time.Second, true, true, false},
		{"pending", func(*world) {}, 0, "exit 143", 4 * time.Second, false, true, false},
		{"cancelling hangs", func(w *world) {
			w.start()
			time.AfterFunc(asked, func() { w.delay("scancel", time.Hour) })
		}, 0, "exit 143", 2 * time.Minute, true, true, true},
		{"cancelling fails once", func(w *world) {
			w.start()
			time.AfterFunc(asked, func() { w.set("scancel", scheduler.Reply{Code: 1, Stderr: "scancel: error: Socket timed out"}) })
			time.AfterFunc(asked+15*time.Second, func() { w.restore("scancel") })
		}, 0, "exit 143", 30 * time.Second, true, true, false},
		{"it is slow to go", func(w *world) {
			w.start()
			w.onCancel = func() {
				w.state("COMPLETING", "n1", "None")
				time.AfterFunc(20*time.Second, func() { w.state("CANCELLED", "n1", "None") })
			}
		}, 0, "exit 143", 40 * time.Second, true, true, false},
		{"a query hangs meanwhile", func(w *world) {
			w.start()
			time.AfterFunc(asked-time.Second, func() { w.delay("squeue", 20*time.Second) })
		}, 0, "exit 143", 70 * time.Second, true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.onSubmit = func() { tt.act(w) }
				err, took := w.run(after(asked, tt.lost))
				if got := outcome(err); got != tt.want {
					t.Errorf("%s (%v), want %s\n%s", got, err, tt.want, w.log)
				}
				if took-asked > tt.within {
					t.Errorf("took %v after being asked, want at most %v", took-asked, tt.within)
				}
				at, signalled := w.called("scancel", "--full", "-s", "TERM", "42")
				if signalled != tt.signal {
					t.Errorf("signalled: %v, want %v", signalled, tt.signal)
				}
				if signalled && time.Since(at) < took-asked-time.Second {
					t.Error("the signal was late")
				}
				if _, ok := w.called("scancel", "42"); ok != tt.cancel {
					t.Errorf("cancelled: %v, want %v", ok, tt.cancel)
				}
				if w.recorded() != tt.left {
					t.Errorf("a record is left: %v, want %v", w.recorded(), tt.left)
				}
			})
		})
	}
}

// A pending job that is given up can never run its script, whatever Slurm does.
func TestGivenUpNeverRuns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.onSubmit = func() { time.AfterFunc(10*time.Second, func() { w.delay("scancel", time.Hour) }) }
		if err, _ := w.run(after(20*time.Second, 0)); err == nil {
			t.Fatal("a stopped job succeeded")
		}
		if w.task.dir().claim() {
			t.Error("the claim is still free: the wrapper would run the script")
		}
	})
}

// The ways of a submission that is not simply accepted.
func TestSubmit(t *testing.T) {
	works := func(w *world) { w.onSubmit = func() { w.start(); w.finish(0, false, "COMPLETED") } }
	down := scheduler.Reply{Code: 1, Stderr: "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"}
	tests := []struct {
		name        string
		act         func(w *world)
		want, text  string
		within      time.Duration
		submissions int
		left        bool
	}{
		{"refused", func(w *world) {
			w.set("sbatch", scheduler.Reply{Code: 1, Stderr: "Welcome!\nsbatch: error: Batch job submission failed: Invalid account"})
		}, "build", "Batch job submission failed: Invalid account", time.Second, 1, false},
		{"not found", func(w *world) { w.set("sbatch", scheduler.Reply{Err: notStarted{error: errNotFound}}) }, "system", "not found", 5 * time.Second, 1, false},
		{"the controller comes back", func(w *world) {
			works(w)
			w.set("sbatch", down)
			time.AfterFunc(time.Minute, func() { w.restore("sbatch") })
		}, "success", "", 2 * time.Minute, 7, false},
		{"the controller stays away", func(w *world) {
			w.set("sbatch", down)
			w.set("squeue", scheduler.Reply{Code: 1, Stderr: "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"})
		}, "system", "cannot be reached", 6 * time.Minute, 0, false},
		{"taken all the same", func(w *world) {
			w.set("sbatch", scheduler.Reply{Code: 1, Stderr: "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"})
			time.AfterFunc(40*time.Second, func() { w.restore("squeue"); w.submit(nil); w.start(); w.finish(0, false, "COMPLETED") })
			w.set("squeue", scheduler.Reply{Code: 1, Stderr: "slurm_load_jobs error: Socket timed out on send/recv operation"})
		}, "success", "", 2 * time.Minute, 1, false},
		{"hangs after it was taken", func(w *world) {
			w.delay("sbatch", time.Hour)
			time.AfterFunc(time.Second, func() {
				w.submit(nil)
				time.AfterFunc(3*time.Minute, func() { w.start(); w.finish(0, false, "COMPLETED") })
			})
		}, "success", "", 4 * time.Minute, 1, false},
		{"not taken", func(w *world) { w.set("sbatch", scheduler.Reply{Stdout: "garbage"}) }, "system", "did not take the job", time.Minute, 1, false},
		{"two ids", func(w *world) { w.set("sbatch", scheduler.Reply{Stdout: "1\n2\n"}) }, "system", "did not take", time.Minute, 1, false},
		{"nobody knows", func(w *world) {
			w.set("sbatch", scheduler.Reply{Err: errTooLong})
			w.set("squeue", scheduler.Reply{Err: errTooLong})
		}, "system", "it is not known whether", 8 * time.Minute, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tt.act(w)
				err, took := w.run(never())
				if got := outcome(err); got != tt.want {
					t.Errorf("%s (%v), want %s\n%s", got, err, tt.want, w.log)
				}
				if err != nil && !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%v does not say %q", err, tt.text)
				}
				if took > tt.within {
					t.Errorf("took %v, want at most %v", took, tt.within)
				}
				if n := w.count("sbatch"); tt.submissions > 0 && n != tt.submissions {
					t.Errorf("%d submissions, want %d", n, tt.submissions)
				}
				if w.recorded() != tt.left {
					t.Errorf("a record is left: %v, want %v", w.recorded(), tt.left)
				}
			})
		})
	}
}

// Being told to stop during a submission waits for its answer, but not indefinitely.
func TestStopDuringSubmission(t *testing.T) {
	for _, tt := range []struct {
		name   string
		takes  time.Duration
		cancel string // what scancel is told
		within time.Duration
	}{
		{"it is answered", 5 * time.Second, "42", 10 * time.Second},
		{"it is not", time.Hour, "", 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.delay("sbatch", tt.takes)
				err, took := w.run(after(time.Second, 0))
				if outcome(err) != "exit 143" || took > tt.within {
					t.Errorf("%v after %v\n%s", err, took, w.log)
				}
				if _, ok := w.called("scancel", "42"); tt.cancel != "" && !ok {
					t.Errorf("not cancelled: %v", w.calls)
				}
			})
		})
	}
}

// leave makes what a dead process has left: a submission with its record.
func leave(t *testing.T, w *world, ci, name string, r record) directory {
	t.Helper()
	scripts := filepath.Join(filepath.Dir(w.task.Scripts.String()), ci)
	if err := os.MkdirAll(scripts, 0o700); err != nil {
		t.Fatal(err)
	}
	d := directory(filepath.Join(scripts, name))
	if err := d.create([]byte("true"), bashWrapper(d).text()); err != nil {
		t.Fatal(err)
	}
	r.Name = name
	if err := d.write(r); err != nil {
		t.Fatal(err)
	}
	return d
}

// A new job ends what the dead of its own host, user and runner have left, and
// leaves the living alone.
func TestSweep(t *testing.T) {
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
			inWorld(t, func(t *testing.T, w *world) {
				d := leave(t, w, "0", "ci-runner-0", tt.r)
				w.name = "ci-runner-0"
				w.state("RUNNING", "n1", "None")
				w.task.Sweep(t.Context())
				_, cancelled := w.called("scancel")
				if cancelled != tt.ended {
					t.Errorf("cancelled: %v, want %v (%v)", cancelled, tt.ended, w.calls)
				}
				if _, err := os.Stat(d.path(recordFile)); (err != nil) != tt.ended {
					t.Errorf("the record: %v", err)
				}
				if said := strings.Contains(w.log.String(), "ci-runner-0"); said != tt.ended {
					t.Errorf("the log: %q", w.log)
				}
			})
		})
	}
}

// A job with nothing left over costs the controller no question.
func TestSweepOfNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.task.Sweep(t.Context())
		if len(w.calls) != 0 {
			t.Errorf("%v", w.calls)
		}
	})
}

// Cleanup ends what is recorded, whoever wrote it, and says when it cannot.
func TestCleanup(t *testing.T) {
	self, _ := proctree.Find(os.Getpid())
	t.Run("all is well", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			if err := w.task.Cleanup(); err != nil || len(w.calls) != 0 {
				t.Errorf("%v, %v", err, w.calls)
			}
		})
	})
	t.Run("running", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			d := leave(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: "42", Host: "here", Process: self})
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
	t.Run("over since long", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			leave(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: "42"})
			if err := w.task.Cleanup(); err != nil || w.recorded() {
				t.Errorf("%v, record left: %v", err, w.recorded())
			}
		})
	})
	t.Run("its number is another job's now", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			leave(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: "42"})
			w.name = "simulation"
			w.state("RUNNING", "n1", "None")
			if err := w.task.Cleanup(); err != nil || w.recorded() {
				t.Errorf("%v, record left: %v", err, w.recorded())
			}
			if _, ok := w.called("scancel"); ok {
				t.Errorf("somebody's job was cancelled: %v", w.calls)
			}
		})
	})
	t.Run("begun, of unknown id, and forgotten", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			d := leave(t, w, "1", w.task.Name, record{Scheduler: "Slurm"})
			if !d.claim() {
				t.Fatal("no claim")
			}
			if err := w.task.Cleanup(); err != nil || w.recorded() {
				t.Errorf("%v, record left: %v", err, w.recorded())
			}
		})
	})
	t.Run("the controller is away", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			leave(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: "42"})
			for _, p := range []string{"squeue", "scontrol", "scancel"} {
				w.set(p, scheduler.Reply{Code: 1, Stderr: p + ": error: Unable to contact slurm controller"})
			}
			begin := time.Now()
			if err := w.task.Cleanup(); err == nil || !strings.Contains(err.Error(), w.task.Name) {
				t.Errorf("%v does not name the job", err)
			}
			if took := time.Since(begin); took > cleanupLimit+time.Minute || !w.recorded() {
				t.Errorf("took %v, record left: %v", took, w.recorded())
			}
		})
	})
	t.Run("a record of nobody", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			d := leave(t, w, "1", w.task.Name, record{Scheduler: "Slurm", ID: "42"})
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
