package e2e

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// long is a script that prints a line when it runs, and then runs for long, in a tree of
// processes of which one is detached.
const long = "setsid sleep 1000 & sleep 1001 & echo under way\nwait\n"

// limit is the longest time that a test waits for an event.
const limit = 20 * time.Second

func TestStopReachesTheJobAtOnce(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		// A machine that is busy with other tests may be late; a slow driver is late every
		// time.
		best := time.Hour
		for range 5 {
			if best = min(best, stopLatency(t, s)); best <= 100*time.Millisecond {
				return
			}
		}
		t.Errorf("the job got the signal after %v at best", best)
	}, quick)
}

// stopLatency is the time from SIGTERM to the driver until the script reports that it got
// one.
func stopLatency(t *testing.T, s *site.Site) time.Duration {
	t.Helper()
	informed := make(chan time.Time, 1)
	r := s.Runner()
	r.Hooks.Output = func(_ string, _ fakerunner.Stream, piece []byte) {
		if strings.Contains(string(piece), "got TERM") {
			informed <- time.Now()
		}
	}
	e := site.Begin(t, r, s.Job(), "trap 'echo got TERM; exit 9' TERM\necho under way\nsleep 1000 & wait\n")
	p := process(t, e, "build_script")
	start := time.Now()
	if err := syscall.Kill(-p, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	res := e.Wait()
	site.Want(t, res, fakerunner.ScriptFailure, 9)
	select {
	case at := <-informed:
		return at.Sub(start)
	default:
		t.Fatalf("the job got no signal; the log:\n%s", res.Trace)
		return 0
	}
}

func process(t *testing.T, e *fakerunner.Execution, stage string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	p, err := e.AwaitStage(ctx, stage, 1)
	if err != nil {
		t.Fatal(err)
	}
	return p.PID
}

func TestScriptThatIgnoresTermIsKilled(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site.Site) {
		e := site.Begin(t, s.Runner(), s.Job(), "trap '' TERM\necho under way\nwhile :; do sleep 0.2; done\n")
		p := process(t, e, "build_script")
		start := time.Now()
		if err := syscall.Kill(-p, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		site.Want(t, e.Wait(), fakerunner.ScriptFailure, 137)
		if took := time.Since(start); took < 2*time.Second || took > 20*time.Second {
			t.Errorf("with kill_timeout = 3s it took %v", took)
		}
		s.NoProcess(t, 0)
	}, quick)
}

func TestStoppedScriptExitZeroFails(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		e := site.Begin(t, s.Runner(), s.Job(), "trap 'exit 0' TERM\necho under way\nsleep 1000 & wait\n")
		if err := syscall.Kill(-process(t, e, "build_script"), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		site.Want(t, e.Wait(), fakerunner.ScriptFailure, 143)
	}, quick)
}

// TestStopNamesItsCause: the line about a job that was stopped has what stopped it, as far as
// the runner lets its driver know, and what to do about it.
func TestStopNamesItsCause(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		const elsewhere = "the job was stopped: it was cancelled in GitLab, or the runner's service was stopped"
		for name, tt := range map[string]struct {
			job   func(fakerunner.Job) fakerunner.Job
			stop  func(*fakerunner.Execution)
			stage string
			texts []string
		}{
			"cancelled":   {stop: (*fakerunner.Execution).Cancel, stage: "build_script", texts: []string{elsewhere}},
			"interrupted": {stop: (*fakerunner.Execution).Interrupt, stage: "build_script", texts: []string{elsewhere}},
			"the job's timeout": {
				job: func(j fakerunner.Job) fakerunner.Job { j.Timeout = 10 * time.Second; return j }, stage: "build_script",
				texts: []string{"the job was stopped: it reached its timeout in GitLab (10s)", "set a longer timeout"},
			},
			"the script's timeout": {
				job: func(j fakerunner.Job) fakerunner.Job { return site.WithVariable(j, "RUNNER_SCRIPT_TIMEOUT", "2s") }, stage: "build_script",
				texts: []string{"the job was stopped: the script reached RUNNER_SCRIPT_TIMEOUT (2s)", "set a longer time in the CI variable RUNNER_SCRIPT_TIMEOUT"},
			},
			"after_script": {job: func(j fakerunner.Job) fakerunner.Job {
				j.AfterScript, j.Script = []string{"sleep 1000"}, []string{"true"}
				return site.WithVariable(j, "RUNNER_AFTER_SCRIPT_TIMEOUT", "2s")
			}, stage: "after_script", texts: []string{"the job was stopped: after_script reached RUNNER_AFTER_SCRIPT_TIMEOUT (2s)"}},
		} {
			if testing.Short() && name != "cancelled" && name != "the script's timeout" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				job := s.Job("echo under way", "sleep 1000")
				if tt.job != nil {
					job = tt.job(job)
				}
				e := s.Runner().Start(job)
				if tt.stop != nil {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					if err := e.AwaitOutput(ctx, "build_script", "under way\n"); err != nil {
						t.Fatal(err)
					}
					tt.stop(e)
				}
				call, _ := e.Wait().Call(tt.stage)
				for _, text := range tt.texts {
					if !strings.Contains(string(call.Stderr)+string(call.Stdout), text) {
						t.Errorf("no %q in\n%s%s", text, call.Stdout, call.Stderr)
					}
				}
				s.NoProcess(t, limit)
			})
		}
	}, quick)
}

// awaitText reads until text has arrived, and returns all that was read.
func awaitText(t *testing.T, r *os.File, text string) string {
	t.Helper()
	if err := r.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	for buf := make([]byte, 4096); !strings.Contains(seen.String(), text); {
		n, err := r.Read(buf)
		seen.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v after:\n%s", err, seen.String())
		}
	}
	return seen.String()
}

// underWay starts a runner of its own for a job, and returns its log once the script has
// printed that it runs.
func underWay(t *testing.T, s *site.Site, job fakerunner.Job) (*exec.Cmd, string) {
	t.Helper()
	cmd, err := s.Detached(s.Runner(), job)
	if err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return cmd, awaitText(t, out, "\nunder way")
}

// TestStopInEarlyStages sends SIGTERM while config and prepare run: the stage does not
// report success.
func TestStopInEarlyStages(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site.Site) {
		for _, stage := range []string{"config", "prepare"} {
			t.Run(stage, func(t *testing.T) {
				r := s.Runner()
				r.Hooks.Started = func(p fakerunner.Process) {
					if p.Stage == stage {
						_ = syscall.Kill(-p.PID, syscall.SIGTERM)
					}
				}
				res := r.Run(s.Job("echo never"))
				if res.Outcome == fakerunner.Success || strings.Contains(res.Trace, "$ echo never") {
					t.Errorf("ended as %s; the log:\n%s", res.Outcome, res.Trace)
				}
				s.NoProcess(t, limit)
			})
		}
	}, quick)
}

// TestStoppedJacamarDoesNotBlockStage: the user stops the unprivileged program before it
// has read its script, which is longer than a socket's buffer.
func TestStoppedJacamarDoesNotBlockStage(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site.Site) {
		job := s.Job()
		job.Raw = map[string][]byte{"build_script": []byte("kill -STOP $PPID\nsleep 1000\n# " + strings.Repeat("x", 4<<20))}
		e := s.Runner().Start(job)
		p := process(t, e, "build_script")
		stopped := func(q site.Process) bool {
			text, _ := os.ReadFile("/proc/" + strconv.Itoa(q.PID) + "/stat")
			return strings.HasSuffix(q.Exe, "/jacamar") && strings.Contains(string(text), ") T ")
		}
		site.SomeProcess(t, limit, stopped)
		start := time.Now()
		if err := syscall.Kill(-p, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if r := e.Wait(); r.Outcome == fakerunner.Success {
			t.Errorf("ended as %s; the log:\n%s", r.Outcome, r.Trace)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("with kill_timeout = 3s it took %v", took)
		}
		s.NoProcess(t, limit)
	}, quick)
}
