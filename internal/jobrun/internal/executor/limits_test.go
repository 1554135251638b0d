package executor

import (
	"strings"
	"testing"
	"time"
)

func TestLimitsHint(t *testing.T) {
	none := unlimited.seconds
	for name, tt := range map[string]struct {
		limits limits
		code   int
		used   time.Duration
		want   string
	}{
		"SIGXCPU":                      {limits{2, none}, 152, 2 * time.Second, "at most 2 s of processor time"},
		"SIGKILL at the limit":         {limits{2, none}, 137, 1900 * time.Millisecond, "at most 2 s of processor time"},
		"SIGKILL long before it":       {limits{20, none}, 137, time.Second, ""},
		"SIGXFSZ":                      {limits{none, 0}, 153, 0, "at most 0 bytes"},
		"other code":                   {limits{1, 1}, 1, time.Hour, ""},
		"SIGKILL without a limit":      {unlimited, 137, time.Hour, ""},
		"code of SIGXCPU without one":  {unlimited, 152, time.Hour, ""},
		"code of SIGXFSZ without one":  {unlimited, 153, time.Hour, ""},
		"SIGXFSZ with one on time too": {limits{1, 1024}, 153, time.Hour, "at most 1024 bytes"},
	} {
		if got := tt.limits.hint(tt.code, tt.used); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
