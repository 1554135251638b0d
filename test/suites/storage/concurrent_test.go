package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// slots is how many build directories the jobs of TestManyJobs share.
const slots = 8

// exclusive is a script that locks its build directory while any of its processes runs,
// and prints TAKEN when another has it. The TERM that it gets when its runner is killed
// does not end it at once.
const exclusive = `trap 'echo asked to end' TERM
exec 9>>"$CI_BUILDS_DIR/marker"
flock -n 9 || { echo TAKEN; exit 99; }
echo "inside $CI_BUILDS_DIR"
echo $CI_JOB_ID >"$CI_BUILDS_DIR/holder"
for i in 1 2 3; do
  sleep 0.1 9>&-
  [ "$(cat "$CI_BUILDS_DIR/holder")" = $CI_JOB_ID ] || { echo TAKEN; exit 99; }
done
`

// TestManyJobs (C7) runs jobs of one project and one account on two runners that
// share a data_dir, and kills the runner, jacamar-auth or jacamar of some of them
// at a random moment. No two live jobs may share a directory, and the
// next cleanup removes the files of the killed ones.
func TestManyJobs(t *testing.T) {
	jobs := 50
	if testing.Short() {
		jobs = 16
	}
	s := site.New(t)
	base := dataDir(t, s, func(c site.Config) {
		c.Set("general", "kill_timeout", "2s")
		c.Set("general", "limit_build_dir", true)
		c.Set("general", "max_build_dir", slots)
		c.Set("general", "uncap_build_dir_cleanup", true)
	})
	c := &jobSet{site: s, runners: []*fakerunner.Runner{s.Runner(), s.Runner()}}
	c.runners[1].ShortToken = "t0kenAbc2"
	var workers sync.WaitGroup
	for n := range slots {
		workers.Go(func() {
			for job := c.next.Add(1); job <= int64(jobs); job = c.next.Add(1) {
				c.play(t, c.runners[n%2], victims[job%int64(len(victims))])
			}
		})
	}
	workers.Wait()
	t.Logf("%d jobs were killed, %d succeeded", c.killed.Load(), c.ended.Load())
	if c.killed.Load() == 0 || c.ended.Load() == 0 {
		t.Error("one of both was not tried")
	}
	s.NoProcess(t, 20*time.Second)
	for _, r := range c.runners {
		site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
	}
	nothingLeft(t, base)
}

// victims are what is killed of a job: each is a path down its processes, the
// runner being 0, jacamar-auth 1 and jacamar 2.
var victims = [][]int{nil, {0}, {1}, nil, {2}, {0, 1}, {1, 2}, {0, 2}}

// jobSet runs jobs, each with a runner process of its own.
type jobSet struct {
	site                *site.Site
	runners             []*fakerunner.Runner
	next, killed, ended atomic.Int64
}

func (c *jobSet) play(t *testing.T, r *fakerunner.Runner, kill []int) {
	job := c.site.Job(exclusive)
	job.Variables = append(job.Variables, fakerunner.Variable{Key: "SECRET", Value: "x", File: true})
	cmd, err := c.site.Detached(r, job)
	if err != nil {
		t.Error(err)
		return
	}
	var out bytes.Buffer
	log := &watched{text: "\ninside ", seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &out, log
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	killed := kill != nil && moment(log.seen, done) && killAt(cmd.Process.Pid, kill)
	<-done
	c.judge(t, killed, out.Bytes(), log.String())
}

// watched stores what is written and signals when the text is in it.
type watched struct {
	mu    sync.Mutex
	all   bytes.Buffer
	text  string
	seen  chan struct{}
	found bool
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.Write(p)
	if !w.found && strings.Contains(w.all.String(), w.text) {
		w.found = true
		close(w.seen)
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

// moment waits for a random one: in half of the jobs since their script runs. It
// is false when the job is over before.
func moment(inside, done <-chan struct{}) bool {
	if rand.IntN(2) == 0 {
		select {
		case <-inside:
		case <-done:
		}
	}
	select {
	case <-time.After(time.Duration(rand.Int64N(int64(500 * time.Millisecond)))):
		return true
	case <-done:
		return false
	}
}

// killAt kills some of a job's processes, by their position in its tree, and reports
// whether there was one.
func killAt(runner int, places []int) (killed bool) {
	var way []proctree.Process
	for pids := []int{runner}; len(pids) > 0 && len(way) < 3; pids = proctree.Children(pids[0]) {
		if p, alive := proctree.Find(pids[0]); alive {
			way = append(way, p)
		}
	}
	for _, n := range places {
		if n < len(way) && way[n].Signal(unix.SIGKILL) == nil {
			killed = true
		}
	}
	return killed
}

func (c *jobSet) judge(t *testing.T, killed bool, out []byte, log string) {
	if strings.Contains(log, "\nTAKEN") {
		t.Errorf("two jobs had one directory:\n%s", log)
	}
	if killed {
		c.killed.Add(1)
		return
	}
	var r fakerunner.Result
	if err := json.Unmarshal(out, &r); err != nil || r.Outcome != fakerunner.Success {
		t.Errorf("a job that nobody disturbed ended as %s: %v\n%s", r.Outcome, err, log)
		return
	}
	c.ended.Add(1)
}

// nothingLeft checks that only the build directory of a job is left.
func nothingLeft(t *testing.T, base string) {
	t.Helper()
	highest := fmt.Sprintf("%03d", slots)
	for _, path := range below(t, base) {
		dir, name := filepath.Split(path)
		switch {
		case name == "SECRET", strings.HasSuffix(name, ".ext.conf"), filepath.Base(dir) == ".trash",
			strings.HasPrefix(path, "scripts/") && strings.Count(path, "/") > 1:
			t.Errorf("%s is left", path)
		case strings.Count(path, "/") == 2 && strings.HasPrefix(path, "builds/") && name >= highest && name[0] != '.':
			t.Errorf("%s is a directory beyond max_build_dir", path)
		}
	}
}

// TestDirectoryKeptUntilScriptEnds (C7) kills the runner of a job whose script is not
// ended at once, as jacamar is stopped: until it has ended, no other job has its
// directory.
func TestDirectoryKeptUntilScriptEnds(t *testing.T) {
	s := site.New(t)
	base := dataDir(t, s, func(c site.Config) { c.Set("general", "kill_timeout", "2s") })
	job := s.Job("kill -STOP $PPID", `exec 9>>"$CI_BUILDS_DIR/marker"`, "flock -n 9", `touch "$CI_BUILDS_DIR/inside"`, "sleep 1000")
	cmd, err := s.Detached(s.Runner(), job)
	testutil.Must(t, err)
	testutil.Must(t, cmd.Start())
	var inside []string
	if !site.Eventually(20*time.Second, func() bool {
		inside, _ = filepath.Glob(base + "/builds/*/*/inside")
		return len(inside) > 0
	}) {
		t.Fatal("the script never ran")
	}
	testutil.Must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	dir := filepath.Dir(inside[0])
	next := s.Runner().Run(s.Job(`exec 9>>"$CI_BUILDS_DIR/marker"`, "flock -n 9 || { echo TAKEN; exit 99; }"))
	site.Want(t, next, fakerunner.Success, 0)
	if next.BuildsDir == dir {
		t.Errorf("the next job had %s while the script was in it", dir)
	}
	stopped := site.SomeProcess(t, time.Second, func(p site.Process) bool { return s.Own()(p) && p.Exe == s.Jacamar })
	testutil.Must(t, syscall.Kill(stopped.PID, syscall.SIGCONT))
	s.NoProcess(t, 20*time.Second)
	after := s.Runner().Run(s.Job("true"))
	site.Want(t, after, fakerunner.Success, 0)
	if after.BuildsDir != dir {
		t.Errorf("after the script's end a job has %s, not %s", after.BuildsDir, dir)
	}
}
