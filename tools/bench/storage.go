package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/slurm"
	"jacamar-ci/test/harness/site"
)

// storage counts what a job does in the directory of its account, by strace(1): the
// operations that a file server sees where data_dir is on shared storage. The first job
// of a project makes directories that a later one finds.
func storage(install *site.Install) error {
	if _, err := exec.LookPath("strace"); err != nil {
		fmt.Println("\nstorage: not counted, there is no strace on PATH")
		return nil
	}
	s, err := install.Open()
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Printf("\nOperations of a job of 12 stages below data_dir, by strace; the scripts are `true`\n\n")
	if err := countJobs(s, "shell"); err != nil {
		return err
	}
	return withSlurm(install, func(s *site.Site, _ *slurm.Cluster) error { return countJobs(s, "slurm") })
}

func countJobs(s *site.Site, executor string) error {
	base := filepath.Join(s.Account.Home, ".jacamar-ci")
	if err := os.RemoveAll(base); err != nil {
		return err
	}
	for _, which := range []string{"first job", "later job", "with 20 others"} {
		if which == "with 20 others" {
			stop, err := others(s, 20)
			defer stop()
			if err != nil {
				return err
			}
		}
		ours, theirs, err := countJob(s, base)
		if err != nil {
			return err
		}
		fmt.Printf("%-6s %-15s Jacamar %s; the scripts %s\n", executor, which, ours, theirs)
	}
	return nil
}

// others starts jobs of the same account that wait in their scripts.
func others(s *site.Site, n int) (stop func(), err error) {
	r := s.Runner()
	var running []*fakerunner.Execution
	for range n {
		running = append(running, r.Start(s.Job("echo ready; sleep 1000")))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for _, e := range running {
		if err = e.AwaitOutput(ctx, "build_script", "ready\n"); err != nil {
			break
		}
	}
	return func() { stopAll(running) }, err
}

// countJob runs one job below strace.
func countJob(s *site.Site, base string) (ours, theirs counts, err error) {
	file := filepath.Join(s.Dir, "trace")
	defer os.Remove(file)
	r := s.RunnerInside("strace", "-f", "-qq", "-y", "-s", "256", "-A", "-o", file, "-e", "trace=%file,%process,"+strings.Join(fileCalls, ","))
	j := s.Job("true")
	j.Raw = map[string][]byte{}
	for _, stage := range runStages {
		j.Raw[stage] = []byte("true\n")
	}
	if result := r.Run(j); result.Outcome != fakerunner.Success {
		return nil, nil, fmt.Errorf("the job ended as %s: %s\n%s", result.Outcome, result.Reason, result.Trace)
	}
	trace, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer trace.Close()
	ours, theirs = readTrace(trace, base)
	return ours, theirs, nil
}

// fileCalls are those that %file of strace does not have, as they take descriptors.
var fileCalls = []string{"fstat", "flock", "fcntl", "getdents64", "fsync", "fdatasync", "fchmod", "fchown", "fstatfs", "ftruncate"}

// counts are operations by their kind.
type counts map[string]int

// String lists the kinds, the most frequent first.
func (c counts) String() string {
	total, parts := 0, []string{}
	for _, kind := range slices.SortedFunc(maps.Keys(c), func(a, b string) int { return c[b] - c[a] }) {
		total += c[kind]
		parts = append(parts, fmt.Sprintf("%d %s", c[kind], kind))
	}
	return fmt.Sprintf("%4d: %s", total, strings.Join(parts, ", "))
}

var (
	traced  = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	started = regexp.MustCompile(`^(\d+) +(?:<\.\.\. )?(?:clone|clone3|fork|vfork)\b.* = (\d+)$`)
	program = regexp.MustCompile(`^"([^"]*)"`)
)

// readTrace counts the calls that concern base: those of the program jacamar, and those
// of all others.
func readTrace(trace io.Reader, base string) (ours, theirs counts) {
	ours, theirs = counts{}, counts{}
	programs := map[string]string{}
	lines := bufio.NewScanner(trace)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		// A child may have executed its program before its parent's call returns.
		if m := started.FindStringSubmatch(lines.Text()); m != nil && programs[m[2]] == "" {
			programs[m[2]] = programs[m[1]]
			continue
		}
		m := traced.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		if p := program.FindStringSubmatch(m[3]); m[2] == "execve" && p != nil && !strings.Contains(m[3], " = -1 ") {
			programs[m[1]] = path.Base(p[1])
		}
		if m[2] == "exit" || m[2] == "exit_group" {
			delete(programs, m[1])
		}
		kind := kindOf(m[2], m[3])
		if kind == "" || !concerns(m[3], base) {
			continue
		}
		if programs[m[1]] == "jacamar" {
			ours[kind]++
		} else {
			theirs[kind]++
		}
	}
	return ours, theirs
}

// concerns reports whether the arguments of a call name something below base: a path, or
// a descriptor, which strace -y shows with its path.
func concerns(args, base string) bool {
	for _, open := range []string{`"`, "<"} {
		if _, after, found := strings.Cut(args, open+base); found && strings.HasPrefix(after, "/") || found && strings.ContainsAny(after[:1], `">`) {
			return true
		}
	}
	return false
}

// kindOf groups calls as a file server sees them, "" for those that it does not see.
func kindOf(call, args string) string {
	switch {
	case strings.HasPrefix(call, "open") && strings.Contains(args, "O_CREAT"), strings.HasPrefix(call, "mkdir"), strings.HasPrefix(call, "symlink"), call == "mknodat":
		return "creates"
	case strings.HasPrefix(call, "open"):
		return "opens"
	case strings.HasPrefix(call, "rename"), strings.HasPrefix(call, "link"):
		return "renames"
	case strings.HasPrefix(call, "unlink"), call == "rmdir":
		return "unlinks"
	case call == "flock", call == "fcntl" && strings.Contains(args, "SETLK"):
		return "locks"
	case call == "getdents64":
		return "lists"
	case call == "fsync", call == "fdatasync":
		return "syncs"
	case strings.Contains(call, "statfs"):
		return "statfs"
	case strings.Contains(call, "stat"), strings.HasPrefix(call, "access"), strings.HasPrefix(call, "faccess"), strings.HasPrefix(call, "readlink"):
		return "stats"
	case strings.Contains(call, "chmod"), strings.Contains(call, "chown"), strings.HasPrefix(call, "utime"), strings.Contains(call, "truncate"):
		return "changes"
	}
	return ""
}
