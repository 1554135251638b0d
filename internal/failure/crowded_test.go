package failure

import "testing"

func TestCrowded(t *testing.T) {
	for want, f := range map[string]error{
		"no more processes or threads can be started as your account: it has 5, and its limit is 6 (RLIMIT_NPROC, ulimit -u)":           Crowded(5, 6, nil),
		"no more processes or threads can be started as your account: its limit is 6 (RLIMIT_NPROC, ulimit -u)":                         Crowded(0, 6, nil),
		"no more processes or threads can be started as your account: it has 5, and the machine or the runner's service allows no more": Crowded(5, 0, nil),
		"no more processes or threads can be started as your account":                                                                   Crowded(0, 0, nil),
	} {
		if line, hint := ForUser(f, false, ""); line != want || hint == "" {
			t.Errorf("%q, %q, want %q", line, hint, want)
		}
	}
}
