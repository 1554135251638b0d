package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestStopAtAnyTime sends SIGTERM at random times of a job to the call that the runner
// has started then. That call fails in time, unless its work was done already, and no
// process of it remains.
func TestStopAtAnyTime(t *testing.T) {
	moments := 200
	if testing.Short() {
		moments = 2
	}
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			start := time.Now()
			site.Want(t, s.Runner().Run(brief(s, "")), fakerunner.Success, 0)
			whole := time.Since(start)
			hits, n := 0, 0
			// Between two calls of a job none runs, and a job may take longer than another.
			for ; hits < moments && n < 20*moments; n++ {
				if stopAt(t, s, n, rand.N(whole)) {
					hits++
				}
			}
			if hits < moments {
				t.Errorf("only %d of %d signals reached a running call", hits, n)
			}
			t.Logf("%d of %d signals reached a running call", hits, n)
		})
	}
}

// brief is a job with a script of some length, which leaves its mark at the end.
func brief(s *site.Site, mark string) fakerunner.Job {
	job := s.Job()
	job.Raw = map[string][]byte{"build_script": fmt.Appendf(nil, "setsid sleep 1000 &\nsleep 0.1\n[ -z '%s' ] || echo >'%[1]s'\nkill $!\n", mark)}
	return job
}

// stopAt stops a job after some time, and reports whether a call was running then.
func stopAt(t *testing.T, s *site.Site, n int, after time.Duration) bool {
	t.Helper()
	dir := filepath.Join(s.Dir, "marks")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(dir, fmt.Sprint(n))
	r := s.Runner()
	r.Judge = nil // a cleanup that is stopped leaves the files that it had not reached: see below
	var now running
	r.Hooks.Started, r.Hooks.Ended = now.start, now.end
	e := r.Start(brief(s, mark))
	select {
	case <-time.After(after):
	case <-e.Done():
	}
	stage, pid := now.stop()
	res := e.Wait()
	_, err := os.Stat(mark)
	if pid == 0 {
		site.Want(t, res, fakerunner.Success, 0)
		return false
	}
	for _, c := range res.Calls {
		if c.PID != pid {
			continue
		}
		late := c.Started.Add(c.Duration).Sub(now.at)
		// kill_timeout is 3 s; the rest is for a busy machine.
		if late > 10*time.Second || (c.Err == nil && stage == "build_script" && err != nil) {
			t.Errorf("SIGTERM %v after the start, to %s: it ended %v later, %v; the script is done: %v; the log:\n%s", after, stage, late, c.Err, err == nil, res.Trace)
		}
		if c.Err == nil && strings.Contains(res.Trace, "the job was stopped") {
			t.Errorf("SIGTERM %v after the start, to %s: a stopped call has succeeded", after, stage)
		}
	}
	if stage != "cleanup" {
		for _, fault := range s.Aftermath(r, res) {
			t.Error(fault)
		}
	}
	s.NoProcess(t, 20*time.Second)
	return true
}

// running is the call of the driver that runs, if one does.
type running struct {
	mu    sync.Mutex
	stage string
	pid   int
	at    time.Time
}

func (r *running) start(p fakerunner.Process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stage, r.pid = p.Stage, p.PID
}

func (r *running) end(fakerunner.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pid = 0
}

// stop sends SIGTERM to the call that runs, as the runner does to its group.
func (r *running) stop() (stage string, pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pid == 0 || syscall.Kill(-r.pid, syscall.SIGTERM) != nil {
		return "", 0
	}
	r.at = time.Now()
	return r.stage, r.pid
}
