package jobrun

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/proctree"
)

// writeEnd writes, after a script of the job's author on this host, how it ended: a line
// with facts that GitLab folds. A batch job has such a section of its own.
func (s stage) writeEnd(ran time.Duration, err error) {
	if !s.request.SubStage.UserScript() {
		return
	}
	host, _ := os.Hostname()
	facts := []string{"node: " + host, "ran: " + roundTime(ran).String()}
	if used, err := proctree.UsageOfChildren(); err == nil {
		facts = append(facts, usageFacts(used)...)
	}
	joblog.NewWriter(s.stdout).Section("jacamar_end", "the script ended: "+scriptEnd(err), facts)
}

// usageFacts are the figures that the administrators see of the stage as well: those of
// all its processes that ended, of login profiles and detached ones too.
func usageFacts(u proctree.Usage) []string {
	return []string{
		"CPU time: " + roundTime(u.CPU).String(),
		fmt.Sprintf("peak memory of a process: %.1f MiB", float64(u.Peak)/(1<<20)),
	}
}

// scriptEnd describes the end of a script.
func scriptEnd(err error) string {
	code, ok := failure.ScriptCode(err)
	if err != nil && !ok {
		return "without an exit code"
	}
	return fmt.Sprintf("exit code %d", code)
}

// roundTime rounds a duration to what a reader needs of it.
func roundTime(d time.Duration) time.Duration {
	if d < time.Minute {
		return d.Round(time.Second / 10)
	}
	return d.Round(time.Second)
}

// kernelCounters has how many processes the kernel has ended for lack of memory since the
// machine started, those of limits on control groups among them: oom_kill, since Linux 4.13.
const kernelCounters = "/proc/vmstat"

// countersOf returns the file of the counters, "" for a script that runs on another machine.
func countersOf(submits bool) string {
	if submits {
		return ""
	}
	return kernelCounters
}

// memoryKills returns that number, 0 where it is not known.
func memoryKills(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if value, found := bytes.CutPrefix(line, []byte("oom_kill ")); found {
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			return n
		}
	}
	return 0
}

// memoryWarning describes what the kernel ended between two numbers, "" for nothing. They
// are the machine's: another job may have been the one.
func memoryWarning(before, after int64) string {
	switch n := after - before; {
	case n == 1:
		return "the kernel ended a process on this machine for lack of memory while the script ran; if it was the job's, request more memory or use less"
	case n > 1:
		return fmt.Sprintf("the kernel ended %d processes on this machine for lack of memory while the script ran; if they were the job's, request more memory or use less", n)
	}
	return ""
}
