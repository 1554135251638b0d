package batch

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/settings"
)

// outcomeOf describes how a run ended.
func outcomeOf(err error) string {
	if err == nil {
		return "success"
	}
	if code, ok := failure.ScriptCode(err); ok {
		return fmt.Sprintf("exit %d", code)
	}
	return failure.KindOf(err).String()
}

// TestEnd verifies how the end of a job is detected, and how long that takes.
func TestEnd(t *testing.T) {
	const minute = time.Minute
	// noticed is how long the end of a young running job may take that no file shows.
	const noticed = 5 * minute
	tests := []struct {
		name   string
		act    func(w *simulator) // begins at submission
		want   string
		text   string // in the error
		within time.Duration
	}{
		{"success", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.finish(0, false, "COMPLETED") })
		}, "success", "", 6200 * time.Millisecond},
		{"exit code", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.finish(7, false, "FAILED") })
		}, "exit 7", "exit code 7", 7 * time.Second},
		{"exit code, and Slurm does not reply", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.delay("squeue", time.Hour); w.finish(7, false, "FAILED") })
		}, "exit 7", "", 5*time.Second + reasonLimit + 2*time.Second},
		{"time limit", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.finish(143, true, "TIMEOUT") })
		}, "build", "time limit", 7 * time.Second},
		{"time limit, seen by the script as an exit code", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.finish(1, true, "TIMEOUT") })
		}, "build", "time limit", 7 * time.Second},
		{"memory", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.finish(137, false, "OUT_OF_MEMORY") })
		}, "build", "memory", 7 * time.Second},
		{"node failure", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.state("NODE_FAIL", "n1", "None") })
		}, "system", "a node of it failed", noticed},
		{"preempted with an exit code", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.finish(143, true, "PREEMPTED") })
		}, "system", "preempted", minute},
		{"cancelled by another command", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.state("CANCELLED", "n1", "None") })
		}, "build", "was cancelled", noticed},
		{"the status file is late", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.state("FAILED", "n1", "NonZeroExitCode") })
			time.AfterFunc(50*time.Second, func() { w.finish(0, false, "COMPLETED") })
		}, "success", "", 51 * time.Second},
		{"no status file, Slurm has the exit code", func(w *simulator) {
			w.start()
			w.exit = "9:0"
			time.AfterFunc(5*time.Second, func() { w.state("FAILED", "n1", "NonZeroExitCode") })
		}, "exit 9", "", noticed + 2*minute},
		{"no status file, Slurm reports success", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.state("COMPLETED", "n1", "None") })
		}, "success", "", noticed + 2*minute},
		{"it ended and did not start", func(w *simulator) {
			time.AfterFunc(5*time.Second, func() { w.state("FAILED", "n1", "NonZeroExitCode") })
		}, "system", "did not start", 3 * minute},
		{"a second run was refused by the wrapper", func(w *simulator) {
			w.start()
			w.exit = "75:0"
			time.AfterFunc(5*time.Second, func() { w.state("FAILED", "n1", "NonZeroExitCode") })
		}, "system", "did not record an exit status", noticed + 2*minute},
		{"gone from the queue", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, w.forget)
		}, "system", "no longer has a record", noticed + 2*minute},
		{"gone from the queue, then the status file", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, w.forget)
			time.AfterFunc(40*time.Second, func() { w.put(endedFile, "code=0\nsize=0\n") })
		}, "success", "", 41 * time.Second},
		{"gone from the queue for a moment", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, w.forget)
			time.AfterFunc(50*time.Second, func() { w.state("RUNNING", "n1", "None") })
			time.AfterFunc(10*minute, func() { w.finish(0, false, "COMPLETED") })
		}, "success", "", 11 * minute},
		{"shown as pending after its end", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.state("PENDING", "", "launch failed requeued held"); w.put(endedFile, "code=0\nsize=0\n") })
		}, "success", "", 6 * time.Second},
		{"the controller does not reply for half an hour", func(w *simulator) {
			w.start()
			time.AfterFunc(5*time.Second, func() { w.delay("squeue", time.Hour); w.delay("scontrol", time.Hour) })
			time.AfterFunc(30*minute, func() { w.finish(0, false, "COMPLETED") })
		}, "success", "", 31 * minute},
		{"it can never start", func(w *simulator) { w.state("PENDING", "", "PartitionNodeLimit") }, "build", "can never start", 10 * time.Second},
		{"it failed because it can never start", func(w *simulator) { w.state("FAILED", "", "BadConstraints") }, "build", "can never start", 2 * minute},
		{"it could not be started", func(w *simulator) { w.state("PENDING", "", "launch failed requeued held") }, "system", "could not be started", 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.onSubmit = func() { tt.act(w) }
				err, took := w.run(noStop())
				if got := outcomeOf(err); got != tt.want {
					t.Errorf("%s (%v), want %s\n%s", got, err, tt.want, w.log)
				}
				if tt.text != "" && (err == nil || !strings.Contains(err.Error(), tt.text)) {
					t.Errorf("%v does not contain %q", err, tt.text)
				}
				if took > tt.within {
					t.Errorf("took %v, want at most %v", took, tt.within)
				}
				if n := w.count("sbatch"); n != 1 {
					t.Errorf("%d submissions", n)
				}
				if w.hasRecord() {
					t.Error("a record is left")
				}
			})
		})
	}
}

// An unschedulable job is abandoned only after repeated reports, and not at all where
// the site configured waiting.
func TestUnschedulableTwice(t *testing.T) {
	begin := func(w *simulator) {
		w.state("PENDING", "", "PartitionNodeLimit")
		time.AfterFunc(time.Hour, func() { w.start(); w.finish(0, false, "COMPLETED") })
	}
	t.Run("the site waits", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			w.task.Settings.WaitForImpossible = true
			w.onSubmit = func() { begin(w) }
			if err, _ := w.run(noStop()); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("for a moment", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			w.onSubmit = func() {
				begin(w)
				time.AfterFunc(2*time.Second, func() { w.state("PENDING", "", "Resources") })
			}
			if err, _ := w.run(noStop()); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("pending for too long", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			w.task.Settings.PendingTimeout = 10 * time.Minute
			err, took := w.run(noStop())
			if outcomeOf(err) != "build" || took < 10*time.Minute || took > 11*time.Minute {
				t.Errorf("%v after %v", err, took)
			}
		})
	})
}

// The log of a pending job shows each change, and a line every five minutes.
func TestPendingNotices(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.onSubmit = func() {
			time.AfterFunc(12*time.Minute, func() { w.state("PENDING", "", "Priority") })
			time.AfterFunc(14*time.Minute, func() { w.start() })
			time.AfterFunc(40*time.Minute, func() { w.finish(0, false, "COMPLETED") })
		}
		if err, _ := w.run(noStop()); err != nil {
			t.Error(err)
		}
		log := w.log.String()
		if n := strings.Count(log, "(Resources)"); n != 3 {
			t.Errorf("%d lines about resources in 12 minutes, want 3\n%s", n, log)
		}
		if n := strings.Count(log, "(Priority)"); n != 1 {
			t.Errorf("%d lines about priority in 2 minutes, want 1\n%s", n, log)
		}
	})
}

// The log is copied while the job runs, and to its last byte.
func TestLogIsCopied(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		var early string
		w.onSubmit = func() {
			time.AfterFunc(time.Hour, func() { w.start(); w.print("first\n") })
			time.AfterFunc(time.Hour+maxIdleDelay+minWatchDelay, func() { early = w.log.String() })
			time.AfterFunc(2*time.Hour, func() { w.print("last, without newline"); w.finish(0, false, "COMPLETED") })
		}
		if err, _ := w.run(noStop()); err != nil {
			t.Error(err)
		}
		if !strings.Contains(early, "first\n") {
			t.Errorf("the first line was not there in time: %q", early)
		}
		if !strings.Contains(w.log.String(), "last, without newline") {
			t.Errorf("the last bytes are missing: %q", w.log)
		}
	})
}

// Output that becomes visible later than the status file is waited for.
func TestLateOutput(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.onSubmit = func() {
			w.start()
			w.put(endedFile, "code=0\nsize=4\n")
			time.AfterFunc(30*time.Second, func() { w.print("late") })
		}
		err, took := w.run(noStop())
		if err != nil || !strings.Contains(w.log.String(), "late") || took > 31*time.Second {
			t.Errorf("%v after %v: %q", err, took, w.log)
		}
	})
}

// A job that runs for an hour costs the controller few queries, whether it is slow or not.
func TestQueryRate(t *testing.T) {
	for _, tt := range []struct {
		name     string
		slow     time.Duration
		min, max int
	}{
		{"quick", 0, 8, 20},
		{"slow", 20 * time.Second, 8, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.onSubmit = func() {
					w.start()
					w.delay("squeue", tt.slow)
					time.AfterFunc(time.Hour, func() {
						// Later ones are for its exit status.
						if n := w.count("scontrol"); n != 0 {
							t.Errorf("%d more queries for a job that squeue shows", n)
						}
						w.finish(0, false, "COMPLETED")
					})
				}
				if err, _ := w.run(noStop()); err != nil {
					t.Error(err)
				}
				if n := w.count("squeue"); n < tt.min || n > tt.max {
					t.Errorf("%d queries in an hour, want %d to %d", n, tt.min, tt.max)
				}
			})
		})
	}
}

// The engine abandons a job whose controller never replies, and leaves the record for
// a later cleanup.
func TestControllerNeverReplies(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.onSubmit = func() {
			w.start()
			for _, p := range []string{"squeue", "scontrol", "scancel"} {
				w.delay(p, 24*time.Hour)
			}
		}
		err, took := w.run(noStop())
		if outcomeOf(err) != "system" || took > unreachableLimit+15*time.Minute {
			t.Errorf("%v after %v", err, took)
		}
		if n := strings.Count(w.log.String(), "does not respond; the job continues"); n != 1 {
			t.Errorf("%d notices", n)
		}
		if !w.hasRecord() {
			t.Error("no record is left for the cleanup")
		}
	})
}

// The job's arguments reach sbatch; a forbidden argument prevents the submission.
func TestArguments(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.task.Settings.DefaultArgs = []string{"--partition=ci"}
		w.task.Settings.Rules = []ipc.BatchRule{{Name: "rule 1", RuleArgs: settings.RuleArgs{Args: []string{"--account=x"}, Required: true}}}
		w.task.Settings.Arguments = []ipc.BatchArguments{{Variable: "SCHEDULER_PARAMETERS", Text: []byte("-N 2 --comment='$(id)'")}}
		w.onSubmit = func() { w.start(); w.finish(0, false, "COMPLETED") }
		if err, _ := w.run(noStop()); err != nil {
			t.Fatal(err)
		}
		if _, ok := w.called("sbatch", "--partition=ci", "-N", "2", "--comment=$(id)", "--account=x", "--no-requeue", "--job-name=ci-runner-1"); !ok {
			t.Errorf("%v", w.calls)
		}
	})
	simulate(t, func(t *testing.T, w *simulator) {
		w.task.Settings.Arguments = []ipc.BatchArguments{{Variable: "SITE_ARGS", Text: []byte("--output=/x")}}
		err, _ := w.run(noStop())
		if outcomeOf(err) != "build" || !strings.Contains(err.Error(), "SITE_ARGS") || w.count("sbatch") != 0 {
			t.Errorf("%v, %d submissions", err, w.count("sbatch"))
		}
		if _, err := os.Stat(string(w.task.dir())); err == nil {
			t.Error("files were made for a job that is not submitted")
		}
	})
}

// The summary contains only known values.
func TestSummary(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.task.Settings.SlurmSacct = true
		w.set("sacct", scheduler.Reply{Stdout: "42|60|01:30.000|2||n1\n42.batch|60|01:30.000|2|2048K|n1\n"})
		w.onSubmit = func() {
			time.AfterFunc(20*time.Second, func() { w.start(); time.AfterFunc(time.Minute, func() { w.finish(0, false, "COMPLETED") }) })
		}
		if err, _ := w.run(noStop()); err != nil {
			t.Error(err)
		}
		for _, want := range []string{"collapsed=true", "nodes: n1", "ran: 1m0s", "waited: 20s", "CPU efficiency: 75 % of 2 CPUs", "peak memory of a task: 2.0 MiB"} {
			if !strings.Contains(w.log.String(), want) {
				t.Errorf("no %q in %q", want, w.log)
			}
		}
	})
	simulate(t, func(t *testing.T, w *simulator) {
		w.onSubmit = func() { w.start(); w.finish(0, false, "COMPLETED") }
		if err, _ := w.run(noStop()); err != nil {
			t.Error(err)
		}
		if strings.Contains(w.log.String(), "efficiency") || strings.Contains(w.log.String(), "memory") || w.count("sacct") != 0 {
			t.Errorf("%q", w.log)
		}
	})
}

// The start file is empty for a moment, and stays empty on a full disk.
func TestEmptyStartFile(t *testing.T) {
	for _, tt := range []struct {
		name   string
		filled bool
		want   string
	}{
		{"filled later", true, "Slurm job 42 started on n1\x1b"},
		{"never filled", false, "Slurm job 42 started\x1b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.onSubmit = func() {
					w.state("RUNNING", "n1", "None")
					w.put(startedFile, "")
					time.AfterFunc(200*time.Millisecond, func() {
						if tt.filled {
							_ = os.WriteFile(w.task.dir().path(startedFile), []byte("node=n1\nstart=1\n"), 0o600)
						}
					})
					time.AfterFunc(5*time.Second, func() { w.finish(0, false, "COMPLETED") })
				}
				if err, _ := w.run(noStop()); err != nil || strings.Count(w.log.String(), tt.want) != 1 {
					t.Errorf("%v: %q, want %q once", err, w.log, tt.want)
				}
			})
		})
	}
}
