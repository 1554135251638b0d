package schedulers

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// moments is the number of random moments at which each process is killed.
func moments(c cluster) int {
	if testing.Short() || c.quick() {
		return 4
	}
	return 20
}

// One of jacamar-auth, jacamar, sbatch and the runner is killed: after the next cleanup no
// job is queued, no process is left, and no job was submitted twice.
func TestKilled(t *testing.T) {
	everywhere(t, func(t *testing.T, c cluster) {
		for _, v := range []struct {
			name string
			find func(auth int) []int
		}{
			{"jacamar-auth", func(auth int) []int { return []int{auth} }},
			{"jacamar", func(auth int) []int { return proctree.Children(auth) }},
		} {
			t.Run(v.name, func(t *testing.T) {
				s := c.site(t)
				r := s.Runner()
				killAll(t, c, s, r, func(j fakerunner.Job) error {
					e := r.Start(j)
					p, err := e.AwaitStage(await(t), "build_script", 1)
					if err != nil {
						return err
					}
					<-time.After(moment())
					for _, pid := range v.find(p.PID) {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
					e.Wait()
					return nil
				})
			})
		}
		t.Run("the runner", func(t *testing.T) {
			s := c.site(t)
			r := s.Runner()
			killAll(t, c, s, r, func(j fakerunner.Job) error {
				runner, err := s.Detached(r, j)
				if err != nil {
					return err
				}
				out, err := runner.StderrPipe()
				if err != nil {
					return err
				}
				if err := runner.Start(); err != nil {
					return err
				}
				if err := awaitText(out, "step_script\"\n", "was submitted"); err != nil {
					return err
				}
				<-time.After(moment())
				_ = runner.Process.Kill()
				_ = runner.Wait()
				return nil
			})
		})
	})
}

// A killed sbatch may have submitted or not. The job either runs, once, or fails
// for GitLab to retry.
func TestKilledClient(t *testing.T) {
	everywhere(t, func(t *testing.T, c cluster) {
		if c.quick() && c.executor != "pbs" {
			t.Skip("waits 20 s for a job that was not accepted: over PBS, whose list has no names, and over Slurm")
		}
		c.bin = slowSubmit(t, c)
		var hits atomic.Int64
		s := c.site(t)
		r := s.Runner()
		killAll(t, c, s, r, func(j fakerunner.Job) error {
			e := r.Start(j)
			p, err := e.AwaitStage(await(t), "build_script", 1)
			if err != nil {
				return err
			}
			site.Eventually(10*time.Second, func() bool { return len(clients(p.PID)) > 0 })
			<-time.After(rand.N(500 * time.Millisecond))
			for _, client := range clients(p.PID) {
				hits.Add(1)
				_ = syscall.Kill(-client, syscall.SIGKILL)
			}
			res := e.Wait()
			if ran := strings.Count(res.Trace, "ran once\n"); res.Outcome == fakerunner.Success && ran != 1 {
				return fmt.Errorf("%s, and the script ran %d times\n%s", res.Outcome, ran, res.Trace)
			} else if res.Outcome != fakerunner.Success && res.Outcome != fakerunner.SystemFailure {
				return fmt.Errorf("%s\n%s", res.Outcome, res.Trace)
			}
			return nil
		})
		if hits.Load() < int64(moments(c))/4 {
			t.Errorf("only %d clients were there to be killed", hits.Load())
		}
	})
}

// clients are the commands that the jacamar below this jacamar-auth is running.
func clients(auth int) (all []int) {
	for _, jacamar := range proctree.Children(auth) {
		all = append(all, proctree.Children(jacamar)...)
	}
	return all
}

// moment is a random time from before the submission to after the end of a job
// of killAll's.
func moment() time.Duration { return rand.N(1500 * time.Millisecond) }

// killAll runs jobs at once, each with its kill, then one more whose start and cleanup
// remove what is left, and checks for jobs and processes.
func killAll(t *testing.T, c cluster, s *site.Site, r *fakerunner.Runner, kill func(fakerunner.Job) error) {
	t.Helper()
	var all sync.WaitGroup
	var names []string
	for range moments(c) {
		j := newJob(s, "echo ran once; sleep 0.5")
		names = append(names, batchName(r, j))
		all.Go(func() {
			if err := kill(j); err != nil {
				t.Errorf("job %d: %v", j.ID, err)
			}
		})
	}
	all.Wait()
	site.Want(t, r.Run(newJob(s, "true")), fakerunner.Success, 0)
	for _, name := range names {
		if left := c.queue(t, name, false); len(left) > 0 {
			site.Eventually(15*time.Second, func() bool { left = c.queue(t, name, false); return len(left) == 0 })
			if len(left) > 0 {
				t.Errorf("still queued: %v", left)
			}
		}
		if all := c.queue(t, name, true); len(all) > 1 {
			t.Errorf("submitted %d times: %v", len(all), all)
		}
	}
	s.NoProcess(t, 20*time.Second)
}

// slowSubmit replaces the submit program by one that waits before and after it calls the
// cluster's own, so that there is a process to kill.
func slowSubmit(t *testing.T, c cluster) string {
	t.Helper()
	from := c.bin
	if from == "" {
		from = "/usr/bin"
	}
	parent := filepath.Dir(c.conf)
	if c.conf == "" {
		parent = "/srv"
	}
	dir := filepath.Join(parent, fmt.Sprintf("slow-%d", os.Getpid()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	script := fmt.Sprintf("#!/bin/bash\ncase $1 in jobs | --version) exec %[1]s/%[2]s \"$@\" ;; esac\nsleep 0.3; %[1]s/%[2]s \"$@\" && sleep 0.3\n", from, c.submit)
	if err := testutil.WriteProgram(filepath.Join(dir, c.submit), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range c.others {
		if err := os.Symlink(filepath.Join(from, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
