package driver

import (
	"strings"
	"testing"
	"time"
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
