package schedulers

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// await bounds every wait of a test.
func await(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func parameters(j fakerunner.Job, text string) fakerunner.Job {
	return site.WithVariable(j, "SCHEDULER_PARAMETERS", text)
}

// A job ends as its script ended.
func TestOutcome(t *testing.T) {
	everywhere(t, func(t *testing.T, c cluster) {
		s := c.site(t)
		tests := append([]outcome{
			works("success", `echo "on ${`+c.id+`:?} as $(id -un)"; echo to-stderr >&2`, "", "as "+s.Account.Name, "to-stderr", c.name+" job", "collapsed=true", "nodes: "),
			{"exit 7", "exit 7", "", fakerunner.ScriptFailure, 7, nil, true},
			{"exit 2", "exit 2", "", fakerunner.ScriptFailure, 2, nil, true},
			{"exit 75", "exit 75", "", fakerunner.ScriptFailure, 75, nil, true},
			{"exit 255", "exit 255", "", fakerunner.ScriptFailure, 255, nil, true},
			refused("another script", "-- /bin/evil"),
			refused("100 kB of arguments", strings.Repeat("-N1 ", 25_000), "longer than"),
		}, c.cases...)
		r := s.Runner()
		t.Run("jobs", func(t *testing.T) {
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					t.Parallel()
					j := newJob(s, tt.script)
					if tt.args != "" {
						j = parameters(j, tt.args)
					}
					site.Want(t, r.Run(j), tt.outcome, tt.code, tt.texts...)
					if tt.submitted {
						c.once(t, batchName(r, j))
					} else {
						c.never(t, batchName(r, j))
					}
				})
			}
		})
		s.NoProcess(t, 20*time.Second)
	})
}

// Only the author's scripts are submitted; the others run on the runner's host.
func TestOnlyUserScriptsAreSubmitted(t *testing.T) {
	atOnce(t, func(t *testing.T, c cluster) {
		s, r := c.site(t), (*fakerunner.Runner)(nil)
		r = s.Runner()
		j := newJob(s, `echo "main=${`+c.id+`:?}"`)
		j.AfterScript = []string{`echo "after=[$` + c.id + `]"`}
		j.Steps = []fakerunner.Step{{Name: "release", Script: []string{`echo "release=${` + c.id + `:?}"`}}}
		res := r.Run(j)
		site.Want(t, res, fakerunner.Success, 0, "main=", "after=[]", "release=")
		c.once(t, batchName(r, j))
		c.once(t, batchName(r, j)+"-step_release")
	})
}

// The log has the script's output, byte for byte, while the script runs.
func TestLog(t *testing.T) {
	atOnce(t, func(t *testing.T, c cluster) {
		s := c.site(t)
		r := s.Runner()
		j := newJob(s, "printf 'first\\n'; until [ -e $HOME/go-$CI_JOB_ID ]; do sleep 0.05; done; rm $HOME/go-$CI_JOB_ID",
			`printf 'a\0b\377c\r\033[1m%s\n' "$(printf 'x%.0s' $(seq 100000))"; printf 'no newline at the end'`)
		j = site.WithVariable(j, "CI_JOB_ID", itoa(j.ID))
		e := r.Start(j)
		if err := e.AwaitOutput(await(t), "build_script", "first\n"); err != nil {
			t.Fatalf("%v\n%s", err, e.Trace())
		}
		allow(t, s, "go-"+itoa(j.ID))
		res := e.Wait()
		site.Want(t, res, fakerunner.Success, 0)
		call, _ := res.Call("build_script")
		if text := "a\x00b\xffc\r\x1b[1m" + strings.Repeat("x", 100000) + "\nno newline at the end"; !strings.Contains(string(call.Stdout), text) {
			t.Errorf("the log is not what was written (%d bytes)", len(call.Stdout))
		}
	})
}

// A script may be larger than any scheduler accepts, and end its lines as on Windows: it
// is not what is submitted.
func TestScripts(t *testing.T) {
	atOnce(t, func(t *testing.T, c cluster) {
		s := c.site(t)
		r := s.Runner()
		for name, text := range map[string]string{
			"5 MB":       "#!/bin/bash\n: '" + strings.Repeat("x", 5<<20) + "'\necho whole\n",
			"no shebang": "echo whole\n",
			"no newline": "#!/bin/bash\necho whole",
		} {
			t.Run(name, func(t *testing.T) {
				j := newJob(s)
				j.Raw = map[string][]byte{"build_script": []byte(text)}
				site.Want(t, r.Run(j), fakerunner.Success, 0, "whole")
			})
		}
	})
}

// A cancelled job's script gets a signal and its time to end, and is then killed.
func TestCancel(t *testing.T) {
	everywhere(t, func(t *testing.T, c cluster) {
		s := c.site(t)
		r := s.Runner()
		t.Run("running", func(t *testing.T) {
			j := newJob(s, "trap 'echo got TERM; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
			j.AfterScript = []string{"echo after $CI_JOB_STATUS"}
			e := r.Start(j)
			if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
				t.Fatalf("%v\n%s", err, e.Trace())
			}
			e.Cancel()
			texts := []string{"after canceled"}
			if c.signals {
				texts = append(texts, "got TERM")
			}
			site.Want(t, e.Wait(), fakerunner.Canceled, 0, texts...)
			c.once(t, batchName(r, j))
		})
		t.Run("running and stubborn", func(t *testing.T) {
			j := newJob(s, "trap '' TERM; echo ready; while :; do sleep 0.1; done")
			e := r.Start(j)
			if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
				t.Fatalf("%v\n%s", err, e.Trace())
			}
			e.Cancel()
			site.Want(t, e.Wait(), fakerunner.Canceled, 0)
			if got := c.once(t, batchName(r, j)); got.state != "CANCELLED" {
				t.Errorf("%v, want it cancelled", got)
			}
		})
		t.Run("pending", func(t *testing.T) {
			j := parameters(newJob(s, "echo ran"), c.hold)
			e := r.Start(j)
			if err := e.AwaitOutput(await(t), "build_script", c.heldName); err != nil {
				t.Fatalf("%v\n%s", err, e.Trace())
			}
			e.Cancel()
			res := e.Wait()
			site.Want(t, res, fakerunner.Canceled, 0, "it is held")
			if strings.Contains(res.Trace, "ran\n") {
				t.Error("the script ran")
			}
			// Grid Engine has no record of a job that never ran.
			c.gone(t, batchName(r, j))
		})
		s.NoProcess(t, 20*time.Second)
	})
}

// A job that another user cancels is the job's failure, with a message about it.
func TestCancelledByAnotherUser(t *testing.T) {
	atOnce(t, func(t *testing.T, c cluster) {
		s := c.site(t, func(conf site.Config) { conf.Set("batch", "slurm_sacct", true) })
		r := s.Runner()
		j := newJob(s, "echo ready; sleep 300")
		e := r.Start(j)
		if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
			t.Fatalf("%v\n%s", err, e.Trace())
		}
		c.kill(t, c.queue(t, batchName(r, j), false)[0].id)
		if c.records {
			site.Want(t, e.Wait(), fakerunner.ScriptFailure, 1, "was cancelled")
		} else {
			site.Want(t, e.Wait(), fakerunner.ScriptFailure, 1, unrecorded)
		}
	})
}

// Held for longer than the site allows.
func TestPendingTimeout(t *testing.T) {
	atOnce(t, func(t *testing.T, c cluster) {
		s := c.site(t, func(conf site.Config) { conf.Set("batch", "pending_timeout", "3s") })
		r := s.Runner()
		j := parameters(newJob(s, "echo ran"), c.hold)
		site.Want(t, r.Run(j), fakerunner.ScriptFailure, 1, "did not start within 3s", "held")
		c.gone(t, batchName(r, j))
	})
}

// Many jobs at once keep their logs and codes apart, and the journal has the batch job's
// id and times of each (OPS/QUEUE-WAITS).
func TestThirtyAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, c cluster) {
		s := c.site(t)
		r := s.Runner()
		var all sync.WaitGroup
		var traces sync.Map
		for n := range c.many(30) {
			j := newJob(s, fmt.Sprintf("echo this-is-%d; sleep 1; exit %d", n, n))
			all.Go(func() {
				res := r.Run(j)
				o := fakerunner.ScriptFailure
				if n == 0 {
					o = fakerunner.Success
				}
				if res.Outcome != o || res.ExitCode != n || !strings.Contains(res.Trace, fmt.Sprintf("this-is-%d\n", n)) {
					t.Errorf("job %d: %s %d\n%s", n, res.Outcome, res.ExitCode, res.Trace)
				}
				c.once(t, batchName(r, j))
				traces.Store(j.ID, res.Trace)
			})
		}
		all.Wait()
		if os.Geteuid() == 0 {
			ended := journal(t, s, "--ended")
			traces.Range(func(id, trace any) bool {
				e := ended[id.(int64)]
				if !strings.Contains(trace.(string), " job "+e.BatchID+" (ci-") || e.Phase != "ended" || e.Waited < 0 || e.Waited > 600 || e.BatchCPU <= 0 {
					t.Errorf("job %d: %+v in\n%s", id, e, trace)
				}
				return true
			})
		}
		s.NoProcess(t, 20*time.Second)
	})
}
