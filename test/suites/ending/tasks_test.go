package ending

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestServiceNearItsLimitOnTasks: in a control group with few processes left no job begins,
// and the record names the setting; with enough of them the job succeeds.
func TestServiceNearItsLimitOnTasks(t *testing.T) {
	group := pidsGroup(t)
	for _, d := range site.Deployments() {
		if !d.Root {
			continue // the others run the same function
		}
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			logged(t, s)
			at := place{site: s}
			r := s.Runner()
			r.Hooks.Launch = func(string) []string {
				return append([]string{"/bin/sh", "-c", `echo $$ >` + group + `/cgroup.procs && exec "$0" "$@"`}, at.becomeOr("/usr/bin/env")...)
			}
			for most, want := range map[int]fakerunner.Outcome{30: fakerunner.SystemFailure, 300: fakerunner.Success} {
				testutil.Must(t, os.WriteFile(filepath.Join(group, "pids.max"), fmt.Append(nil, most), 0o600))
				if res := r.Run(s.Job("true")); res.Outcome != want {
					t.Errorf("with %d: %s:\n%s", most, res.Outcome, res.Trace)
				}
			}
			if !slices.ContainsFunc(records(t, s, 0, "stage_end"), func(r record) bool {
				return strings.HasPrefix(r.Reason, "the runner's service has ") && strings.Contains(r.Reason, " of at most 30 processes and threads")
			}) {
				t.Error("no record names the limit")
			}
		})
	}
}

// becomeOr starts a program as the runner's account, or where that is root's by another one.
func (p place) becomeOr(other string) []string {
	if argv := p.become(); argv != nil {
		return argv
	}
	return []string{other}
}

// pidsGroup makes a control group that can limit tasks, in either version (cgroups(7)).
func pidsGroup(t *testing.T) string {
	t.Helper()
	for _, parent := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} {
		group := filepath.Join(parent, fmt.Sprintf("jacamar-test-%d", os.Getpid()))
		if err := os.Mkdir(group, 0o755); err != nil {
			continue
		}
		t.Cleanup(func() { testutil.Must(t, os.Remove(group)) })
		if _, err := os.Stat(filepath.Join(group, "pids.max")); err == nil {
			return group
		}
	}
	t.Skip("no control group that limits tasks can be made here")
	return ""
}
