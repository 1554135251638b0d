package driver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

func TestStopCause(t *testing.T) {
	hour, minute := limit{"it", "its timeout in GitLab", time.Hour, 0, "raise it"}, limit{"the script", "RUNNER_SCRIPT_TIMEOUT", time.Minute, 0, "raise that"}
	spent := func(l limit, d time.Duration) limit { l.spent = d; return l }
	for name, tc := range map[string]struct {
		limits     []limit
		cause, fix string
	}{
		"no limit is known": {nil, "cancelled in GitLab", ""},
		"early":             {[]limit{spent(minute, time.Second), spent(hour, time.Minute)}, "cancelled in GitLab", ""},
		"the script's":      {[]limit{spent(minute, time.Minute), spent(hour, 2*time.Minute)}, "the script reached RUNNER_SCRIPT_TIMEOUT (1m0s)", "raise that"},
		"the job's":         {[]limit{spent(minute, time.Second), spent(hour, time.Hour+time.Second)}, "it reached its timeout in GitLab (1h0m0s)", "raise it"},
		"a moment before":   {[]limit{spent(hour, time.Hour-4*time.Second)}, "its timeout", "raise it"},
		"some time before":  {[]limit{spent(hour, time.Hour-time.Minute)}, "cancelled in GitLab", ""},
		"no limit":          {[]limit{{spent: time.Hour}}, "cancelled in GitLab", ""},
	} {
		cause, fix := stopCause(tc.limits)
		if !strings.Contains(cause, tc.cause) || fix != tc.fix {
			t.Errorf("%s: %q, %q", name, cause, fix)
		}
	}
}

// TestExplainStop: which limits a stage has, from the runner's environment and files.
func TestExplainStop(t *testing.T) {
	const script, after = "CUSTOM_ENV_RUNNER_SCRIPT_TIMEOUT=1m", "CUSTOM_ENV_RUNNER_AFTER_SCRIPT_TIMEOUT=10m"
	const cancelled = "cancelled in GitLab"
	for name, tt := range map[string]struct {
		stage    job.Stage
		sub, env string
		stageFor time.Duration // 2 minutes if 0
		jobFor   time.Duration // no job response if 0
		want     string
	}{
		"script":                   {stage: job.Run, sub: "build_script", env: script, want: "the script reached RUNNER_SCRIPT_TIMEOUT (1m0s)"},
		"step":                     {stage: job.Run, sub: "step_release", env: script, want: "the script reached RUNNER_SCRIPT_TIMEOUT (1m0s)"},
		"script without":           {stage: job.Run, sub: "build_script", want: cancelled},
		"script with another's":    {stage: job.Run, sub: "build_script", env: after, want: cancelled},
		"not a duration":           {stage: job.Run, sub: "build_script", env: "CUSTOM_ENV_RUNNER_SCRIPT_TIMEOUT=x", want: cancelled},
		"sources have none":        {stage: job.Run, sub: "get_sources", env: script, want: cancelled},
		"prepare has none":         {stage: job.Prepare, sub: "build_script", env: script, want: cancelled},
		"after_script":             {stage: job.Run, sub: "after_script", env: after, stageFor: 10 * time.Minute, want: "after_script reached RUNNER_AFTER_SCRIPT_TIMEOUT (10m0s)"},
		"after_script, early":      {stage: job.Run, sub: "after_script", env: after, stageFor: 6 * time.Minute, want: cancelled},
		"after_script, default":    {stage: job.Run, sub: "after_script", env: script, stageFor: 6 * time.Minute, want: "after_script reached RUNNER_AFTER_SCRIPT_TIMEOUT (5m0s)"},
		"job":                      {stage: job.Prepare, jobFor: time.Hour, want: "it reached its timeout in GitLab (1h0m0s)"},
		"job, early":               {stage: job.Prepare, jobFor: time.Minute, want: cancelled},
		"the script's before that": {stage: job.Run, sub: "build_script", env: script, jobFor: time.Hour, want: "the script reached"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "response")
			now := time.Now()
			if tt.jobFor > 0 {
				testutil.Must(t, os.WriteFile(file, nil, 0o600), os.Chtimes(file, now, now.Add(-tt.jobFor)))
			}
			if tt.stageFor == 0 {
				tt.stageFor = 2 * time.Minute
			}
			s := Session{Call: Call{Stage: tt.stage, SubStage: tt.sub}, Started: now.Add(-tt.stageFor), Env: environ(t, "JOB_RESPONSE_FILE="+file, tt.env)}
			s.Facts.Timeout = 3600
			line, _ := failure.ForUser(s.explainStop(failure.Stopped(143, "")), false, "")
			if !strings.HasPrefix(line, "the job was stopped: ") || !strings.Contains(line, tt.want) {
				t.Errorf("%q, want %q", line, tt.want)
			}
		})
	}
	other := errors.New("another error")
	if s := (&Session{}); s.explainStop(other) != other || s.explainStop(nil) != nil {
		t.Error("an error that is no stop has changed")
	}
}
