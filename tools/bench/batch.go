package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/slurm"
	"jacamar-ci/test/harness/site"
)

// batchJobs is how many batch jobs each way runs, so many at once.
const (
	batchJobs   = 20
	batchAtOnce = 4
)

// clocked is a script whose first and last lines contain the time of writing.
const clocked = "#!/bin/bash\ndate +first=%s%N\nsleep $((2 + RANDOM % 3)).$((RANDOM % 10))\ndate +last=%s%N\n"

// delays are the times until a script's first line and its end became known. A way that
// shows no line before the end has no first.
type delays struct{ first, last sample }

// batchWay is one way to run a batch job.
type batchWay struct {
	name string
	run  func() (first, last time.Duration, err error)
}

// withSlurm calls work with a site and a real Slurm of this machine.
func withSlurm(install *site.Install, work func(*site.Site, *slurm.Cluster) error) error {
	dir, err := slurm.NewDir()
	if err != nil {
		return err
	}
	cluster, err := slurm.Up(dir, slurm.Options{})
	if err != nil {
		return err
	}
	defer slurm.Down(dir)
	s, err := install.Open(site.Slurm(cluster.Conf(), ""))
	if err != nil {
		return err
	}
	defer s.Close()
	return work(s, cluster)
}

// compareWays compares the ways to read a batch job's lines and to detect its end.
func compareWays(s *site.Site, c *slurm.Cluster) error {
	ways := []batchWay{
		{"Jacamar", func() (time.Duration, time.Duration, error) { return throughJacamar(s) }},
		{"sbatch --wait", func() (time.Duration, time.Duration, error) { return byWaiting(s, c) }},
		{"squeue and the log, each second", func() (time.Duration, time.Duration, error) { return byPolling(s, c) }},
	}
	fmt.Printf("\nA batch job of 2 to 5 s on Slurm; %d jobs, %d at once\n\n", batchJobs, batchAtOnce)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tfirst line seen after\tat most\tend seen after\tat most")
	for _, way := range ways {
		d, err := repeat(way)
		if err != nil {
			return err
		}
		first, most := millis(d.first.median()), millis(d.first.quantile(1))
		if len(d.first) == 0 {
			first, most = "the end", ""
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", way.name, first, most, millis(d.last.median()), millis(d.last.quantile(1)))
	}
	return w.Flush()
}

func repeat(way batchWay) (d delays, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	gate := make(chan struct{}, batchAtOnce)
	for range batchJobs {
		gate <- struct{}{}
		all.Go(func() {
			defer func() { <-gate }()
			first, last, rerr := way.run()
			mu.Lock()
			defer mu.Unlock()
			if rerr != nil {
				err = fmt.Errorf("%s: %w", way.name, rerr)
				return
			}
			if first > 0 {
				d.first = append(d.first, first)
			}
			d.last = append(d.last, last)
		})
	}
	all.Wait()
	return d, err
}

// throughJacamar runs a job and takes the times at which the runner gets them.
func throughJacamar(s *site.Site) (first, last time.Duration, err error) {
	j := s.Job()
	j.Raw = map[string][]byte{"build_script": []byte(clocked)}
	r := s.Runner()
	var seen, ended time.Time
	r.Hooks.Output = func(stage string, _ fakerunner.Stream, p []byte) {
		if seen.IsZero() && bytes.Contains(p, []byte("first=")) {
			seen = time.Now()
		}
	}
	r.Hooks.Ended = func(c fakerunner.Call) {
		if c.Stage == "build_script" {
			ended = time.Now()
		}
	}
	res := r.Run(j)
	if res.Outcome != fakerunner.Success {
		return 0, 0, fmt.Errorf("the job ended as %s: %s\n%s", res.Outcome, res.Reason, res.Trace)
	}
	return sinceBoth(res.Trace, seen, ended)
}

// sinceBoth subtracts the times that the script wrote.
func sinceBoth(log string, seen, ended time.Time) (first, last time.Duration, err error) {
	wrote := func(mark string) (time.Time, error) {
		_, rest, _ := strings.Cut(log, mark)
		digits, _, _ := strings.Cut(rest, "\n")
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		return time.Unix(0, n), err
	}
	begin, err := wrote("first=")
	if err != nil {
		return 0, 0, err
	}
	end, err := wrote("last=")
	if err != nil {
		return 0, 0, err
	}
	if !seen.IsZero() {
		first = seen.Sub(begin)
	}
	return first, ended.Sub(end), nil
}

// submit hands the clocked script to sbatch as the job's user.
func submit(s *site.Site, c *slurm.Cluster, log string, args ...string) *exec.Cmd {
	cmd := as(s.Account, append([]string{"sbatch", "--output=" + log}, args...)...)()
	cmd.Env = append(cmd.Env, c.Env())
	cmd.Stdin = strings.NewReader(clocked)
	return cmd
}

// logFile is a file for a job's output that its user can write.
func logFile(s *site.Site) (string, error) {
	f, err := os.CreateTemp(s.Account.Home, "bench-")
	if err != nil {
		return "", err
	}
	return f.Name(), f.Chown(int(s.Account.UID), int(s.Account.GID))
}

func byWaiting(s *site.Site, c *slurm.Cluster) (first, last time.Duration, err error) {
	log, err := logFile(s)
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(log)
	if out, err := submit(s, c, log, "--wait").CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, out)
	}
	ended := time.Now()
	text, err := os.ReadFile(log)
	if err != nil {
		return 0, 0, err
	}
	return sinceBoth(string(text), time.Time{}, ended)
}

func byPolling(s *site.Site, c *slurm.Cluster) (first, last time.Duration, err error) {
	log, err := logFile(s)
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(log)
	id, err := submit(s, c, log, "--parsable").Output()
	if err != nil {
		return 0, 0, err
	}
	var seen time.Time
	for {
		time.Sleep(time.Second)
		text, err := os.ReadFile(log)
		if err != nil {
			return 0, 0, err
		}
		if seen.IsZero() && bytes.Contains(text, []byte("first=")) {
			seen = time.Now()
		}
		state, err := c.Command(context.Background(), "squeue", "-h", "-t", "all", "-j", strings.TrimSpace(string(id)), "-o", "%T").Output()
		if err != nil {
			return 0, 0, err
		}
		if strings.TrimSpace(string(state)) == "COMPLETED" {
			return sinceBoth(string(text), seen, time.Now())
		}
	}
}
