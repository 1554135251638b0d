package jobrun

import (
	"fmt"
	"os"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/proctree"
)

// close writes, after a script of the job's author on this host, how it ended: a line
// with facts that GitLab folds. A batch job has such a section of its own.
func (s stage) close(ran time.Duration, err error) {
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
