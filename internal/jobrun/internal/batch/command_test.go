package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// programRun is a program, a shell script, and what its run gives.
type programRun struct {
	name, script string
	dir          string // below that of the test, "" for none
	want         string // the exit code and the outputs, or the error
	limit        int    // on a resource, while resource is set
	resource     int
}

var programRuns = []programRun{
	{name: "outputs", script: "echo out; echo err >&2; exit 3", want: `3 "out\n" "err\n"`},
	{name: "variables", script: "echo $SITE $OWN", want: `0 "site own\n" ""`},
	{name: "arguments", script: `echo "$#" "$1"`, want: `0 "2 a b\n" ""`},
	{name: "no input", script: "cat; echo end", want: `0 "end\n" ""`},
	{name: "no directory", script: "pwd", want: `0 "/\n" ""`},
	{name: "its directory", script: "basename $PWD", dir: "there", want: `0 "there\n" ""`},
	{name: "a missing directory", script: "pwd", dir: "missing", want: `0 "/\n" ""`},
	{name: "a directory that is a file", script: "pwd", dir: "outputs", want: `0 "/\n" ""`},
	{name: "killed", script: "echo last; kill -KILL $$", want: "killed: killed by signal 9"},
	{name: "all of the output", script: "head -c 33554431 /dev/zero", want: "0, 33554431 and 0 bytes"},
	{name: "too much output", script: "cat /dev/zero", want: "too much output: output limit exceeded"},
	{name: "too many errors", script: "cat /dev/zero >&2", want: "too many errors: output limit exceeded"},
	{name: "no end", script: "sleep 1000 & echo ready >&3; wait", want: "no end: timed out"},
	{name: "a daemon", script: "setsid sleep 1000 3>&- & echo out", want: `0 "out\n" ""`},
	{name: "no interpreter", want: "not started, again false: cannot start "},
	{name: "no program", want: "not started, again false: no program: not found"},
	{name: "no process", script: "true", limit: 1, resource: unix.RLIMIT_NPROC, want: "not started, again true: your account has "},
	{name: "no descriptor", script: "true", limit: 4, resource: unix.RLIMIT_NOFILE, want: "not started, again false: cannot create a pipe: "},
}

// runPrograms prints the results as a list. A program's descriptor 3 is a pipe: what it
// writes there ends its time, and nothing may hold it open afterwards. They run in a process
// of their own: one cannot cease to be the reaper of its children, and other tests wait for
// theirs themselves.
func runPrograms(dir string) {
	reaper, err := process.NewReaper(nil)
	if err != nil {
		panic(err)
	}
	var results []string
	for _, tt := range programRuns {
		r := tt.run(dir, reaper)
		if results = append(results, r); r == leftProcesses {
			break
		}
	}
	reaper.Sweep(0, nil)
	_ = json.NewEncoder(os.Stdout).Encode(results)
}

const leftProcesses = "processes are left"

func (tt programRun) run(dir string, reaper *process.Reaper) string {
	alive, end, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	defer alive.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := alive.Read(make([]byte, 16)); err != nil {
				return
			}
			cancel()
		}
	}()
	if tt.limit > 0 {
		spareThreads(20)
		defer setLimit(tt.resource, setLimit(tt.resource, uint64(tt.limit)))
	}
	p := Programs{Reaper: reaper, Dirs: []string{dir}, Env: []string{"PATH=/usr/bin:/bin", "SITE=site"}, Dir: "/", Files: []*os.File{end}}
	c := scheduler.Command{Argv: []string{tt.name, "a b", ""}, Env: []string{"OWN=own"}}
	if tt.dir != "" {
		c.Dir = filepath.Join(dir, tt.dir)
	}
	r := p.Run(ctx, c)
	end.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		return leftProcesses
	}
	return describeReply(r)
}

// spareThreads gives the Go runtime threads that wait for work: with a limit on them it ends
// the process when it needs one more (newosproc).
func spareThreads(n int) {
	var locked, ended sync.WaitGroup
	locked.Add(n)
	for range n {
		ended.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			locked.Done()
			locked.Wait()
		})
	}
	ended.Wait()
}

// setLimit sets a soft limit and returns the one before.
func setLimit(resource int, soft uint64) uint64 {
	var l unix.Rlimit
	err := unix.Getrlimit(resource, &l)
	before := l.Cur
	l.Cur = soft
	if err = errors.Join(err, unix.Setrlimit(resource, &l)); err != nil {
		panic(err)
	}
	return before
}

func describeReply(r scheduler.Reply) string {
	var none notStarted
	switch {
	case errors.As(r.Err, &none):
		return fmt.Sprintf("not started, again %v: %v", none.retry, none.error)
	case r.Err != nil:
		return r.Err.Error()
	case len(r.Stdout) > 100:
		return fmt.Sprintf("%d, %d and %d bytes", r.Code, len(r.Stdout), len(r.Stderr))
	}
	return fmt.Sprintf("%d %q %q", r.Code, r.Stdout, r.Stderr)
}

// TestProgramRuns: what runs of real programs give.
func TestProgramRuns(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "there"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range programRuns {
		text := "#!/bin/sh\n" + tt.script + "\n"
		switch {
		case tt.name == "no interpreter":
			text = "#!/nonexistent\n"
		case tt.script == "":
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, tt.name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BATCH_PROGRAMS="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var results []string
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	for i, tt := range programRuns[:len(results)] {
		if got := results[i]; got != tt.want && !(strings.HasPrefix(tt.want, "not started") && strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if len(results) < len(programRuns) {
		t.Errorf("%d programs have run, want %d", len(results), len(programRuns))
	}
}
