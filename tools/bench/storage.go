package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
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
// programs is the directory of another build, "" for this one.
func storage(install *site.Install, programs string) error {
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
	if err := useBuild(s, programs); err != nil {
		return err
	}
	if err := countJobs(s, "shell"); err != nil {
		return err
	}
	return withSlurm(install, func(s *site.Site, c *slurm.Cluster) error {
		if err := useBuild(s, programs, site.Slurm(c.Conf(), "")); err != nil {
			return err
		}
		return countJobs(s, "slurm")
	})
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
		job, err := countJob(s, base)
		if err != nil {
			return err
		}
		fmt.Printf("%-6s %-15s Jacamar %s; the scripts %s\n", executor, which, job.ours, job.theirs)
		if which == "later job" {
			defer job.printStages(executor)
		}
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

// operations are those of a job below data_dir.
type operations struct {
	ours, theirs counts
	stages       []string          // in their order
	of           map[string]counts // ours, by the stage
	where        map[string]counts // ours, by the file
}

// printStages prints what each stage does, and with which files.
func (o *operations) printStages(executor string) {
	fmt.Printf("\n%s, later job: Jacamar by the stage\n", executor)
	for _, stage := range o.stages {
		fmt.Printf("  %-28s %s\n", stage, o.of[stage])
	}
	fmt.Printf("\n%s, later job: Jacamar by the file\n", executor)
	for _, file := range slices.Sorted(maps.Keys(o.where)) {
		fmt.Printf("  %-28s %s\n", file, o.where[file])
	}
}

// countJob runs one job below strace.
func countJob(s *site.Site, base string) (*operations, error) {
	file := filepath.Join(s.Dir, "trace")
	defer os.Remove(file)
	r := s.RunnerInside("strace", "-f", "-qq", "-y", "-s", "256", "-A", "-o", file, "-e", "trace=%file,%process,"+strings.Join(fileCalls, ","))
	all, read, failed := &operations{ours: counts{}, theirs: counts{}, of: map[string]counts{}, where: map[string]counts{}}, int64(0), error(nil)
	r.Hooks.Ended = func(c fakerunner.Call) {
		n, err := all.add(c.Stage, file, read, base)
		read, failed = read+n, errors.Join(failed, err)
	}
	j := s.Job("true")
	j.Raw = map[string][]byte{}
	for _, stage := range runStages {
		j.Raw[stage] = []byte("true\n")
	}
	if result := r.Run(j); result.Outcome != fakerunner.Success {
		return nil, fmt.Errorf("the job ended as %s: %s\n%s", result.Outcome, result.Reason, result.Trace)
	}
	return all, failed
}

// add counts what a trace has behind an offset, and returns its length.
func (o *operations) add(stage, file string, from int64, base string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	o.stages, o.of[stage] = append(o.stages, stage), counts{}
	readTrace(bytes.NewReader(text[from:]), base, func(program, kind, path string) {
		if program != "jacamar" {
			o.theirs[kind]++
			return
		}
		o.ours[kind]++
		o.of[stage][kind]++
		path = numbers.ReplaceAllString(path, "N")
		if o.where[path] == nil {
			o.where[path] = counts{}
		}
		o.where[path][kind]++
	})
	return int64(len(text)) - from, nil
}

// numbers are those of jobs and runners in paths.
var numbers = regexp.MustCompile(`[0-9]+(-[0-9]+)*`)

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

// readTrace reports the calls that concern base: the program that made it, the kind, and
// the path below base.
func readTrace(trace io.Reader, base string, report func(program, kind, path string)) {
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
		if kind, below, concerned := kindOf(m[2], m[3]), "", false; kind != "" {
			if below, concerned = pathIn(m[3], base); concerned {
				report(programs[m[1]], kind, below)
			}
		}
	}
}

// pathIn finds the path in the arguments of a call that is base or below it, as a text or
// by a descriptor, which strace -y shows with its path. It returns the part below base.
func pathIn(args, base string) (below string, found bool) {
	m := described.FindStringSubmatch(args)
	if m == nil {
		return "", false
	}
	dir, name := m[1], m[2]
	if m[2] != "" && !strings.HasPrefix(m[2], "/") && m[1] != "" {
		name = path.Join(dir, name)
	} else if m[2] == "" {
		name = dir
	}
	rest, found := strings.CutPrefix(name, base)
	if !found || rest != "" && rest[0] != '/' {
		return "", false
	}
	return cmp.Or(strings.TrimPrefix(rest, "/"), "."), true
}

// described are the first descriptor of a call with its path, and its first text.
var described = regexp.MustCompile(`^(?:(?:AT_FDCWD|[0-9]+)<([^>]*)>(?:\(deleted\))?(?:, )?)?(?:"([^"]*)")?`)

// kindOf groups calls as a file server sees them, "" for those that it does not see.
func kindOf(call, args string) string {
	switch {
	case strings.Contains(args, "AT_STATX_DONT_SYNC"): // which the kernel answers by itself
		return ""
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
