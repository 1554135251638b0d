package jobrun

import (
	"fmt"
	"os"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/joblog"
)

// close writes, after a script of the job's author on this host, how it ended: a line
// with facts that GitLab folds. A batch job has such a section of its own.
func (s stage) close(ran time.Duration, err error) {
	if !s.request.SubStage.UserScript() {
		return
	}
	host, _ := os.Hostname()
	joblog.NewWriter(s.stdout).Section("jacamar_end", "the script ended: "+scriptEnd(err), []string{
		"node: " + host,
		"ran: " + roundTime(ran).String(),
	})
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
