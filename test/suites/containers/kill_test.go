package containers

import (
	"context"
	"errors"
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

// moments are the delays after the start of a stage at which a process is killed.
func moments() []time.Duration {
	if testing.Short() {
		return []time.Duration{150 * time.Millisecond}
	}
	var all []time.Duration
	for n := range 20 {
		all = append(all, time.Duration(n)*25*time.Millisecond)
	}
	return all
}

// Whatever process of a job is killed, while its image is fetched or its script starts or
// runs: after the job and the next one nothing is left, the next one succeeds, and the
// account's own engine is not affected.
func TestKillOfEachProcess(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		// The runner's own judgement of a job is for jobs that were not interfered with.
		r.runner.Judge = nil
		for _, stage := range []string{"prepare", "build_script"} {
			for _, at := range moments() {
				r.killEach(t, stage, at)
			}
		}
		r.ownEngine(t)
	})
}

// killEach kills, in one job each, the processes of a stage that have different names.
func (r *rig) killEach(t *testing.T, stage string, at time.Duration) {
	t.Helper()
	killed := map[string]bool{}
	tries := 12
	if testing.Short() {
		tries = 4
	}
	for range tries {
		if stage == "prepare" {
			r.forget(t)
		}
		j := r.job("entry:1", "echo under way; sleep 3")
		j.Bare = true
		e := r.runner.Start(j)
		name := r.killAt(t, e, stage, at, killed)
		e.Abort()
		result := e.Wait()
		if name == "" {
			return
		}
		killed[name] = true
		if strings.Contains(result.Trace, "goroutine ") {
			t.Errorf("after the kill of %s:\n%s", name, result.Trace)
		}
		again := r.job("entry:1", "echo ran $((6*7))")
		again.Bare = true
		site.Want(t, r.runner.Run(again), fakerunner.Success, 0, "ran 42")
		r.nothingLeft(t)
		if t.Failed() {
			t.Fatalf("after the kill of %s in %s after %v", name, stage, at)
		}
	}
}

// killAt kills one process of the stage whose name is not among those killed before, and
// returns it, "" when there is none.
func (r *rig) killAt(t *testing.T, e *fakerunner.Execution, stage string, at time.Duration, before map[string]bool) string {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	p, err := e.AwaitStage(ctx, stage, 1)
	if err != nil {
		return ""
	}
	time.Sleep(at) // the moment is what the test varies
	for _, pid := range append([]int{p.PID}, proctree.Descendants(p.PID)...) {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		name := strings.TrimSpace(string(comm))
		if err != nil || before[name] {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err == nil || errors.Is(err, syscall.ESRCH) {
			return name
		}
	}
	return ""
}

// ownEngine uses the engine as the account would by itself.
func (r *rig) ownEngine(t *testing.T) {
	t.Helper()
	if r.engine.name != "podman" {
		return
	}
	a := r.site.Account
	dir, err := os.MkdirTemp("/tmp", "own-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chown(dir, int(a.UID), int(a.GID)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/podman", "--root", filepath.Join(dir, "r"), "--runroot", filepath.Join(dir, "c"), "--tmpdir", filepath.Join(dir, "t"), "images")
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=" + dir, "_CONTAINERS_USERNS_CONFIGURED="}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.UID, Gid: a.GID}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the account's own podman: %v: %s", err, out)
	}
	r.endOwn(t)
}

// endOwn ends the pause process that podman started.
func (r *rig) endOwn(t *testing.T) {
	t.Helper()
	left, err := site.Find(site.OfUID(r.site.Account.UID))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range left {
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
}
