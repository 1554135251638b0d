package driver

import (
	"errors"
	"strings"

	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
)

// Finish reports to the user and to the runner how the call ended. It returns the exit
// status, and the error that this status stands for.
func (s *Session) Finish(err error) (status int, final error) {
	if err == nil {
		return 0, nil
	}
	line, hint := failure.ForUser(s.withoutStack(err), s.Call.Unobfuscated, s.jobName())
	lines := failure.LinesOf(err)
	if s.Call.Unobfuscated {
		// All faults of a configuration are one error of several lines.
		line, lines = firstLine(line, lines)
	}
	joblog.NewWriter(s.Log()).Fail(line, hint, lines...)
	if code, ok := failure.ScriptCode(err); ok {
		if failed := customexec.WriteExitCode(s.Env.CodeFile, code); failed != nil {
			return s.Env.Codes.System, failed
		}
	}
	return s.Env.Codes.Status(err), err
}

// firstLine separates the first line of a text from the others, which precede lines.
func firstLine(text string, lines []string) (first string, others []string) {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return all[0], append(all[1:], lines...)
}

// withoutStack replaces a crash, where it is shown in full, by its line: the stack is for
// the operator's log only.
func (s *Session) withoutStack(err error) error {
	var crashed *crash.Error
	if s.Call.Unobfuscated && errors.As(err, &crashed) {
		return failure.Systemf("%s", crashed.Line())
	}
	return err
}

// jobName names the job as its user knows it.
func (s *Session) jobName() string {
	if s.Facts.ID != 0 {
		return "job " + s.Facts.ID.String()
	}
	text, _ := s.Env.Variable("CI_JOB_ID")
	if hint, err := job.ParseID(text); err == nil {
		return "job " + hint.String()
	}
	return "this job's number"
}
