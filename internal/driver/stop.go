package driver

import (
	"fmt"
	"os"
	"strings"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// limit is a time after which GitLab Runner stops a job, or a stage of it.
type limit struct {
	// subject is what the limit is of, name what sets it.
	subject, name string
	// most is the limit, 0 for none; spent is what was used of it.
	most, spent time.Duration
	fix         string
}

// reached reports whether the limit has ended. The runner's clock begins a moment before
// this process can know of the job.
func (l limit) reached() bool {
	return l.most > 0 && l.spent >= l.most-min(5*time.Second, l.most/10)
}

// stopCause describes what has stopped a job: the first of the limits that it has reached.
// The runner reports no other reason to its driver.
func stopCause(limits []limit) (cause, fix string) {
	for _, l := range limits {
		if l.reached() {
			return fmt.Sprintf("%s reached %s (%s)", l.subject, l.name, l.most), l.fix
		}
	}
	return "it was cancelled in GitLab, or the runner's service was stopped", ""
}

// explainStop completes the error of a stage that was stopped.
func (s *Session) explainStop(err error) error {
	if err == nil {
		return nil
	}
	cause, fix := stopCause(s.limits(time.Now()))
	return failure.Because(err, cause, fix)
}

// limits are those of the stage and of its job.
// Source: docs.gitlab.com/ci/runners/configure_runners, "Set script and after_script timeouts"
func (s *Session) limits(now time.Time) (all []limit) {
	stage := now.Sub(s.Started)
	if s.Call.Stage == job.Run {
		all = append(all, s.scriptLimit(stage))
	}
	written, err := os.Stat(s.Env.Response.String())
	if err != nil {
		return all
	}
	return append(all, limit{
		"it", "its timeout in GitLab", time.Duration(s.Facts.Timeout) * time.Second, now.Sub(written.ModTime()),
		"set a longer timeout: of the job in .gitlab-ci.yml, as far as the project and the runner allow it",
	})
}

// defaultAfterScript is the runner's own limit of after_script.
const defaultAfterScript = 5 * time.Minute

// scriptLimit is the limit of the stage's script alone, zero where it has none.
func (s *Session) scriptLimit(spent time.Duration) limit {
	l := limit{subject: "the script", name: "RUNNER_SCRIPT_TIMEOUT", spent: spent}
	switch {
	case s.Call.SubStage == "after_script":
		l.subject, l.name, l.most = "after_script", "RUNNER_AFTER_SCRIPT_TIMEOUT", defaultAfterScript
	case s.Call.SubStage != "build_script" && !strings.HasPrefix(s.Call.SubStage, "step_"):
		return limit{}
	}
	text, _ := s.Env.Variable(l.name)
	if given, err := time.ParseDuration(text); err == nil {
		l.most = given
	}
	l.fix = "set a longer time in the CI variable " + l.name
	return l
}
