package check

import (
	"context"
	"strings"
	"time"

	"jacamar-ci/internal/auth/admin/trial"
	"jacamar-ci/internal/job"
)

// Trial runs a job of its own as the account that the administrator named; left is what
// could not be removed of it.
type Trial struct {
	Account string
	Run     func(context.Context) (r trial.Result, left, err error)
}

// trialJob is the check that does what a job does.
func trialJob(ctx context.Context, s Site) []Line {
	if s.Trial == nil {
		return nil
	}
	r, left, err := s.Trial.Run(ctx)
	return judgeTrial(s.Trial.Account, r, left, err)
}

func judgeTrial(account string, r trial.Result, left, err error) (lines []Line) {
	const again = "correct that and check again"
	if err != nil {
		return []Line{fail(again, "no job of %s was tried: %v", account, err)}
	}
	took := time.Duration(0)
	for _, s := range r.Stages {
		took += s.Took
		for line := range strings.Lines(s.Log) {
			if _, text, found := strings.Cut(line, "WARNING: "); found {
				lines = append(lines, warn(`look it up in docs/troubleshooting.md`, "a job of %s warns in %s: %s", account, s.Name, job.Clip(strings.TrimSpace(text))))
			}
		}
	}
	if left != nil {
		lines = append(lines, warn("remove it", "%v", left))
	}
	if s, failed := r.Failed(); failed {
		why, hint := s.Why()
		if hint == "" {
			hint = "run jacamar-admin selftest --account " + account + " for the whole log, and look the message up in docs/troubleshooting.md"
		}
		return append(lines, fail(hint, "a job of %s fails in %s: %s", account, s.Name, why))
	}
	return or(lines, "a job of %s ran through all stages as %s, in %s", account, job.Clip(r.Account), took.Round(10*time.Millisecond))
}
