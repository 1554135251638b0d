package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakeschedulers"
	"jacamar-ci/test/harness/setup/slurm"
	"jacamar-ci/test/harness/site"
)

const loadWindow = time.Minute

// controller is a batch system under load.
type controller struct {
	name, conf, bin string
	// queries is how many queries of jobs it has received.
	queries func(context.Context) (int, error)
}

// underSlurm measures with a real Slurm.
func underSlurm(install *site.Install, jobs int, age time.Duration) error {
	return withSlurm(install, func(s *site.Site, c *slurm.Cluster) error {
		return underLoad(s, controller{"Slurm", c.Conf(), "", func(ctx context.Context) (int, error) { return queries(ctx, c) }}, jobs, age)
	})
}

// underFake measures with a fake Slurm, whose jobs need much less of this machine.
func underFake(install *site.Install, jobs int, age time.Duration) error {
	dir, err := os.MkdirTemp("/srv", "jacamar-fake-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	store, err := fakeschedulers.Create(filepath.Join(dir, "state"), "slurm")
	bin := filepath.Join(dir, "bin")
	if err = errors.Join(err, fakeschedulers.Install(bin, "slurm"), os.Chmod(dir, 0o755), store.CountCalls()); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go store.Serve(ctx, filepath.Join(bin, fakeschedulers.Program))
	s, err := install.Open()
	if err != nil {
		return err
	}
	defer s.Close()
	count := func(context.Context) (int, error) { return store.Calls("squeue", "scontrol", "sacct") }
	return underLoad(s, controller{"a fake Slurm", store.Conf(), bin, count}, jobs, age)
}

// startAtOnce is how many jobs start at the same time: the load is that of jobs that wait.
const startAtOnce = 6

// underLoad prints the load of jobs that only wait for their batch jobs, the youngest of
// an age.
func underLoad(s *site.Site, c controller, jobs int, age time.Duration) error {
	if err := s.Reconfigure(site.Slurm(c.conf, c.bin), func(conf site.Config) { conf.Set("batch", "command_delay", "30s") }); err != nil {
		return err
	}
	began, r := time.Now(), s.Runner()
	var running []*fakerunner.Execution
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	defer func() {
		began := time.Now()
		slowest := stopAll(running)
		fmt.Printf("the slowest stage was cancelled after %.1f s, and the last job had ended after %.1f s\n", slowest.Sub(began).Seconds(), time.Since(began).Seconds())
	}()
	for len(running) < jobs {
		for range min(startAtOnce, jobs-len(running)) {
			running = append(running, r.Start(s.Job("echo ready; sleep 10000")))
		}
		for _, e := range running[max(0, len(running)-startAtOnce):] {
			if err := e.AwaitOutput(ctx, "build_script", "ready\n"); err != nil {
				return fmt.Errorf("%w\n%s", err, e.Trace())
			}
		}
	}
	fmt.Printf("\n%d batch jobs of %s wait for their scripts, %.0f s after the first one began\n", jobs, c.name, time.Since(began).Seconds())
	// Files and the controller are queried less often as a job gets older.
	time.Sleep(age)
	return observe(ctx, c, running)
}

func observe(ctx context.Context, c controller, running []*fakerunner.Execution) error {
	pairs, err := pairsOf(ctx, running)
	if err != nil {
		return err
	}
	calls, err := c.queries(ctx)
	if err != nil {
		return err
	}
	before, err := cpuOf(pairs)
	if err != nil {
		return err
	}
	time.Sleep(loadWindow)
	used, err := cpuOf(pairs)
	if err != nil {
		return err
	}
	after, err := c.queries(ctx)
	if err != nil {
		return err
	}
	memory, err := memoryOf(pairs)
	if err != nil {
		return err
	}
	fmt.Printf("\n%d running batch jobs, command_delay 30s, for %v\n\n", len(running), loadWindow)
	fmt.Printf("queries to the controller      %.2f a second\n", float64(after-calls)/loadWindow.Seconds())
	fmt.Printf("CPU of both programs           %.1f %% of one core\n", 100*(used-before).Seconds()/loadWindow.Seconds())
	fmt.Printf("memory of both programs (PSS)  %.1f MiB a job\n", memory/float64(len(running)))
	return nil
}

// pairsOf are the jacamar-auth and jacamar of every job.
func pairsOf(ctx context.Context, running []*fakerunner.Execution) (pairs []pair, err error) {
	for _, e := range running {
		p, err := e.AwaitStage(ctx, "build_script", 1)
		if err != nil {
			return nil, err
		}
		kids := proctree.Children(p.PID)
		if len(kids) != 1 {
			return nil, fmt.Errorf("jacamar-auth has the children %v", kids)
		}
		pairs = append(pairs, pair{auth: p.PID, jacamar: kids[0]})
	}
	return pairs, nil
}

func cpuOf(pairs []pair) (total time.Duration, err error) {
	for _, p := range pairs {
		used, err := p.cpu()
		if err != nil {
			return 0, err
		}
		total += used
	}
	return total, nil
}

func memoryOf(pairs []pair) (total float64, err error) {
	for _, p := range pairs {
		for _, pid := range []int{p.auth, p.jacamar} {
			m, err := pss(pid)
			if err != nil {
				return 0, err
			}
			total += m
		}
	}
	return total, nil
}

var jobQueries = regexp.MustCompile(`REQUEST_JOB_INFO\w*\s*\(\s*\d+\)\s*count:(\d+)`)

// queries is the number of job queries that the controller has received, by its own
// count (sdiag(1)).
func queries(ctx context.Context, c *slurm.Cluster) (n int, err error) {
	out, err := c.Command(ctx, "sdiag").Output()
	if err != nil {
		return 0, err
	}
	text, _, _ := strings.Cut(string(out), "Remote Procedure Call statistics by user")
	for _, m := range jobQueries.FindAllStringSubmatch(text, -1) {
		count, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, err
		}
		n += count
	}
	return n, nil
}

// stopAll returns when the last script's stage had ended.
func stopAll(running []*fakerunner.Execution) (slowest time.Time) {
	for _, e := range running {
		e.Abort()
	}
	for _, e := range running {
		result := e.Wait()
		if c, found := result.Call("build_script"); found {
			if end := c.Started.Add(c.Duration); end.After(slowest) {
				slowest = end
			}
		}
	}
	return slowest
}
