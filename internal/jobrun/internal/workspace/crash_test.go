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
)

var crashTime = flag.Duration("crash", 2*time.Second, "how long processes are killed in TestKilledRunners")

// TestKilledRunners has processes play one job after the other in a base that
// they share, and kills them at random moments. No two live jobs may ever have
// one directory, and in the end nothing may be left behind.
func TestKilledRunners(t *testing.T) {
	if home, ok := strings.CutPrefix(os.Getenv(runnerVariable), "home="); ok {
		playRunner(t, home)
		return
	}
	a := self(t)
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
			t.Error("nothing was tried")
		}
	}
	last := configure(t, order(t, a, 1<<40))
	cleanup(t, last)
	cleared(t, last)
}

// runnerVariable turns the test into the process that is killed.
const runnerVariable = "JACAMAR_TEST_RUNNER"

// killRunners starts one process after the other and kills each after a while.
func killRunners(t *testing.T, home string, stop <-chan struct{}) (killed, jobs int) {
	for {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledRunners$")
		cmd.Env = append(os.Environ(), runnerVariable+"=home="+home)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Error(err)
			return killed, jobs
		}
		time.AfterFunc(time.Duration(rand.Int64N(int64(200*time.Millisecond))), func() { _ = cmd.Process.Kill() })
		jobs += hear(t, out)
		_ = cmd.Wait()
		killed++
		select {
		case <-stop:
			return killed, jobs
		default:
		}
	}
}

// hear counts the jobs that a runner tells of, and takes up its complaints.
func hear(t *testing.T, out io.Reader) (jobs int) {
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

// playRunner plays jobs until it is killed.
func playRunner(t *testing.T, home string) {
	a := self(t)
	a.Home = abs(t, home)
	for n := 1; ; n++ {
		o := configure(t, order(t, a, job.ID(os.Getpid()*10000+n)))
		prepare(t, o)
		play(t, o)
		mark := filepath.Join(o.Brief.Dirs.Builds.String(), "mine")
		if text, err := os.ReadFile(mark); err == nil && !markOf(string(text)).Gone() {
			fmt.Printf("FAULT: %s is the directory of a live job too\n", o.Brief.Dirs.Builds)
		}
		me, _ := proctree.Find(os.Getpid())
		put(t, mark+".new", fmt.Sprintf("%d %d", me.PID, me.Start))
		must(t, os.Rename(mark+".new", mark))
		if text, err := os.ReadFile(mark); err != nil || markOf(string(text)) != me {
			fmt.Printf("FAULT: %s was taken away: %v\n", mark, err)
		}
		must(t, os.Remove(mark))
		cleanup(t, o)
		fmt.Println("done")
	}
}

func markOf(text string) proctree.Process {
	pid, start, _ := strings.Cut(text, " ")
	n, _ := strconv.Atoi(pid)
	at, _ := strconv.ParseUint(start, 10, 64)
	return proctree.Process{PID: n, Start: at, Boot: proctree.Boot()}
}

// cleared checks that nothing of any job is left but its clone.
func cleared(t *testing.T, o Order) {
	t.Helper()
	left := files(t, o.Brief.Dirs.Base.String())
	for _, never := range []string{"SECRET", "lease", "scripts/t0ken/", ".trash/"} {
		if strings.Contains(left, never) {
			t.Errorf("%s is left: %s", never, left)
		}
	}
	p := opened(t, filepath.Dir(o.Brief.Dirs.Builds.String()))
	defer p.close()
	all, err := p.claims()
	must(t, err)
	for n, c := range all {
		if !c.free() {
			t.Errorf("%s is still claimed: %+v", slotName(n), c)
		}
	}
}
