package workspace

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

var crashTime = flag.Duration("crash", 2*time.Second, "how long processes are killed in TestKilledRunners")

// TestKilledRunners starts processes that run job after job in a shared base, and
// kills them at random moments. No two live jobs may ever have the same directory, and
// at the end nothing may be left behind.
func TestKilledRunners(t *testing.T) {
	if home, ok := strings.CutPrefix(os.Getenv(runnerEnv), "home="); ok {
		runJobs(t, home)
		return
	}
	a := testAccount(t)
	var runners sync.WaitGroup
	stop, killed, jobs := make(chan struct{}), make([]int, 4), make([]int, 4)
	for n := range killed {
		runners.Go(func() { killed[n], jobs[n] = killRunners(t, a.Home.String(), stop) })
	}
	time.AfterFunc(*crashTime, func() { close(stop) })
	runners.Wait()
	t.Logf("killed %v processes, which ended %v jobs", killed, jobs)
	for n := range killed {
		if killed[n] == 0 || jobs[n] == 0 {
			t.Error("no process was killed, or no job ended")
		}
	}
	last := configure(t, options(t, a, 1<<40))
	cleanup(t, last)
	checkCleared(t, last)
}

// runnerEnv makes the test the process that is killed.
const runnerEnv = "JACAMAR_TEST_RUNNER"

// killRunners starts one process after the other and kills each after a while. It continues
// until a job has ended: on a busy machine one takes longer.
func killRunners(t *testing.T, home string, stop <-chan struct{}) (killed, jobs int) {
	deadline := time.Now().Add(time.Minute)
	longest := 200 * time.Millisecond
	for {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledRunners$")
		cmd.Env = append(os.Environ(), runnerEnv+"=home="+home)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Error(err)
			return killed, jobs
		}
		time.AfterFunc(time.Duration(rand.Int64N(int64(longest))), func() { _ = cmd.Process.Kill() })
		jobs += countJobs(t, out)
		_ = cmd.Wait()
		killed++
		select {
		case <-stop:
			if jobs > 0 || time.Now().After(deadline) {
				return killed, jobs
			}
			longest *= 2
		default:
		}
	}
}

// countJobs counts the finished jobs in a runner's output, and reports its faults.
func countJobs(t *testing.T, out io.Reader) (jobs int) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch {
		case lines.Text() == "done":
			jobs++
		case strings.HasPrefix(lines.Text(), "FAULT"):
			t.Error(lines.Text())
		}
	}
	return jobs
}

// runJobs runs jobs until it is killed.
func runJobs(t *testing.T, home string) {
	a := testAccount(t)
	a.Home = testutil.AbsPath(t, home)
	for n := 1; ; n++ {
		o := configure(t, options(t, a, job.ID(os.Getpid()*10000+n)))
		prepare(t, o)
		writeJobFiles(t, o)
		mark := filepath.Join(o.Request.Dirs.Builds.String(), "mine")
		if text, err := os.ReadFile(mark); err == nil && !processOf(string(text)).Gone() {
			fmt.Printf("FAULT: %s is the directory of a live job too\n", o.Request.Dirs.Builds)
		}
		me, _ := proctree.Find(os.Getpid())
		writeFile(t, mark+".new", fmt.Sprintf("%d %d", me.PID, me.Start))
		testutil.Must(t, os.Rename(mark+".new", mark))
		if text, err := os.ReadFile(mark); err != nil || processOf(string(text)) != me {
			fmt.Printf("FAULT: %s was removed: %v\n", mark, err)
		}
		testutil.Must(t, os.Remove(mark))
		cleanup(t, o)
		fmt.Println("done")
	}
}

func processOf(text string) proctree.Process {
	pid, start, _ := strings.Cut(text, " ")
	n, _ := strconv.Atoi(pid)
	at, _ := strconv.ParseUint(start, 10, 64)
	return proctree.Process{PID: n, Start: at, Boot: proctree.Boot()}
}

// checkCleared verifies that nothing of any job is left but its clone.
func checkCleared(t *testing.T, o Options) {
	t.Helper()
	left := files(t, o.Request.Dirs.Base.String())
	for _, never := range []string{"SECRET", "lease", "scripts/t0ken/", ".trash/"} {
		if strings.Contains(left, never) {
			t.Errorf("%s is left: %s", never, left)
		}
	}
	p := openPool(t, filepath.Dir(o.Request.Dirs.Builds.String()))
	defer p.close()
	all, err := p.reservations()
	testutil.Must(t, err)
	for n, c := range all {
		if !c.free() {
			t.Errorf("%s is still reserved: %+v", slotName(n), c)
		}
	}
}
