package faultinjection

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
)

const strace = "/usr/bin/strace"

// needStrace skips where no program can be traced.
func needStrace(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(strace); err != nil {
		t.Skip("strace is not installed")
	}
	if out, err := exec.Command(strace, "-o", os.DevNull, "/bin/true").CombinedOutput(); err != nil {
		t.Skipf("no program can be traced here: %s", out)
	}
}

// traced is the command line that traces a program into a log. The tracer has no children
// (-DDD), so that the runner and jacamar-auth start the same processes as otherwise; and
// it detaches from a program that is executed (-b).
func traced(log string, words ...string) []string {
	return append([]string{strace, "-DDD", "-f", "-b", "execve", "-q", "-o", log}, words...)
}

// entry is the begin of a system call in a log, with the thread first.
var entry = regexp.MustCompile(`^(\d+) +([a-z_0-9]+)\(`)

// counted is how often each call happens, in the thread that does it most.
func counted(log string) (map[string]int, error) {
	text, err := os.ReadFile(log)
	if err != nil {
		return nil, err
	}
	each, most := map[string]int{}, map[string]int{}
	for line := range strings.Lines(string(text)) {
		if m := entry.FindStringSubmatch(line); m != nil {
			each[m[0]]++
			most[m[2]] = max(most[m[2]], each[m[0]])
		}
	}
	return most, nil
}

// injected reports whether the log has the fault in it.
func injected(log string, p point) bool {
	text, _ := os.ReadFile(log)
	if p.fault == kill {
		return strings.Contains(string(text), "+++ killed by SIGKILL")
	}
	return strings.Contains(string(text), "(INJECTED)")
}

var startRead = regexp.MustCompile(`read\(\d+, [^,]*, 8\) += -1 EIO [^\n]*\(INJECTED\)`)

// startPipe reports whether the fault is in the read by which Go waits for a program that
// it starts to execute (syscall.forkExec). No pipe returns that error, and Go would wait
// for the end of the program, which waits for jacamar.
func startPipe(log string) bool {
	text, _ := os.ReadFile(log)
	return startRead.Match(text)
}

// beforeMain reports whether a program ended while Go's runtime started, when nothing of
// the program can keep its stacks out of the job's log.
func beforeMain(r fakerunner.Result) bool {
	return slices.ContainsFunc(r.Calls, func(c fakerunner.Call) bool {
		text := string(c.Stdout) + string(c.Stderr)
		return strings.Contains(text, "fatal error: ") && strings.Contains(text, "runtime.main()") && !strings.Contains(text, "main.main(")
	})
}
