package containers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// moment is when a process is killed: after the start of a stage, as a share of the time
// that the stage takes until its script runs.
type moment struct {
	stage string
	share float64
}

// moments are twenty: from the first process of prepare until the image is there, and from
// the first process of the script's stage until a little after its script began. In short
// mode they are two.
func moments() (all []moment) {
	if testing.Short() {
		return []moment{{"prepare", 0.6}, {"build_script", 1.1}}
	}
	for n := range 10 {
		all = append(all, moment{"prepare", float64(n) / 10}, moment{"build_script", float64(n) / 6})
	}
	return all
}

// maxProcesses bounds the processes that are killed at one moment, one in each job.
const maxProcesses = 30

// every is which of them are: in short mode every fourth.
func every() int {
	if testing.Short() {
		return 4
	}
	return 1
}

// Whatever process of a job is killed, while its image is fetched or its script starts or
// runs: the job ends, its cleanup leaves nothing, the next job has its image, and the
// account's own engine is not affected.
func TestKillOfEachProcess(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		// The runner's own judgement of a job is for jobs that were not interfered with.
		r.runner.Judge = nil
		s := sweeping{rig: r, killed: map[string]int{}}
		s.measure(t)
		for _, m := range moments() {
			s.killEach(t, m)
		}
		r.ownEngine(t)
		t.Logf("%d jobs with a kill; killed: %v", s.jobs, s.killed)
	})
}

// sweeping are the kills of one engine.
type sweeping struct {
	*rig
	// took is how long the stages take without a kill.
	took   map[string]time.Duration
	jobs   int
	killed map[string]int
}

// doomed is a job with an image that no job has fetched before.
func (s *sweeping) doomed() fakerunner.Job {
	s.jobs++
	j := s.job("entry:1", "echo under way; sleep 0.7; echo the end $((6*7))")
	j.Image = s.own.Copy(s.all["entry:1"], fmt.Sprintf("doomed/%s/%d", s.engine.name, s.jobs), "")
	j.Bare = true
	return j
}

// measure runs a job without a kill. A script's stage takes the time of its sleep longer
// than until the script runs.
func (s *sweeping) measure(t *testing.T) {
	t.Helper()
	result := s.run(t, s.doomed())
	site.Want(t, result, fakerunner.Success, 0, "the end 42")
	s.took = map[string]time.Duration{}
	for _, c := range result.Calls {
		s.took[c.Stage] = c.Duration
	}
	s.took["build_script"] -= 700 * time.Millisecond
}

// killEach kills, in one job each, the processes of a moment: the first one, the second one
// and so on, until there are no more.
func (s *sweeping) killEach(t *testing.T, m moment) {
	t.Helper()
	for n := 0; n < maxProcesses; n += every() {
		j := s.doomed()
		e := s.runner.Start(j)
		name := s.killNth(t, e, m, n)
		result := s.end(t, e)
		if name == "" {
			return
		}
		s.killed[name]++
		s.judge(t, result)
		if m.stage == "prepare" {
			again := s.plain("entry:1")
			again.Image = j.Image
			site.Want(t, s.runner.Run(again), fakerunner.Success, 0, "ran 42")
			s.nothingLeft(t)
		}
		if t.Failed() {
			t.Fatalf("after the kill of process %d, %s, in %s at %.2f of its time; its log:\n%s", n, name, m.stage, m.share, result.Trace)
		}
	}
}

// end waits for the end of a job, which no kill may prevent.
func (s *sweeping) end(t *testing.T, e *fakerunner.Execution) fakerunner.Result {
	t.Helper()
	select {
	case <-e.Done():
	case <-time.After(20 * limit): // the machine may be very busy
		t.Errorf("the job has not ended after %v", 20*limit)
		e.Abort()
	}
	return e.Wait()
}

// judge checks a job of which a process was killed: it succeeds only if its script came to
// its end.
func (s *sweeping) judge(t *testing.T, result fakerunner.Result) {
	t.Helper()
	s.nothingLeft(t)
	ended := strings.Contains(result.Trace, "the end 42")
	if result.Outcome == fakerunner.Success && !ended || strings.Contains(result.Trace, "goroutine ") {
		t.Errorf("%s; the log:\n%s", result.Outcome, result.Trace)
	}
	if c, found := result.Call("cleanup"); !found || c.Status != 0 {
		t.Errorf("cleanup ended with status %d: %s", c.Status, c.Stderr)
	}
}

// killNth kills the process of the stage with the number, in the order of the tree, and
// returns its name; "" when there are not so many. A process that has just ended counts.
func (s *sweeping) killNth(t *testing.T, e *fakerunner.Execution, m moment, n int) string {
	t.Helper()
	p, err := e.AwaitStage(t.Context(), m.stage, 1)
	if err != nil {
		return ""
	}
	time.Sleep(time.Duration(m.share * float64(s.took[m.stage]))) // the moment is what the test varies
	all := append([]int{p.PID}, proctree.Descendants(p.PID)...)
	if n >= len(all) {
		return ""
	}
	name := proctree.Look(all[n]).Name
	if err := syscall.Kill(all[n], syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		t.Error(err)
	}
	return "(" + name + ")"
}

// ownEngine uses podman as the account would by itself, with the storage in its home.
func (r *rig) ownEngine(t *testing.T) {
	t.Helper()
	a := r.site.Account
	runtime, err := os.MkdirTemp("/tmp", "own-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(runtime)
	if err := os.Chown(runtime, int(a.UID), int(a.GID)); err != nil {
		t.Fatal(err)
	}
	defer r.endOwn(t, filepath.Join(a.Home, ".local"))
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", `mount -t cgroup2 cgroup2 /sys/fs/cgroup; mount -t tmpfs -o mode=1777 tmpfs /dev/shm; exec "$@"`, "own",
		"setpriv", fmt.Sprintf("--reuid=%d", a.UID), fmt.Sprintf("--regid=%d", a.GID), "--clear-groups",
		"podman", "--cgroup-manager=cgroupfs", "run", "--rm", "--network=host", "--cgroups=disabled", "--tls-verify=false", r.own.Host+"/bb:1", "echo", "own-podman-ran")
	cmd.Dir, cmd.Env = a.Home, []string{"HOME=" + a.Home, "USER=" + a.Name, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR=" + runtime}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "own-podman-ran") {
		t.Errorf("the account's own podman: %v: %s", err, out)
	}
}

// endOwn ends the pause process that podman started, and removes its storage.
func (r *rig) endOwn(t *testing.T, storage string) {
	t.Helper()
	left, err := site.Find(site.OfUID(r.site.Account.UID))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range left {
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
	if err := removeTree(storage); err != nil {
		t.Error(err)
	}
}
