package ending

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/rlimit"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestLimitsOfTheService runs jobs whose runner has each limit exactly as high as a stage
// needs it, which then succeed, and one below it, where none begins: the operator's record
// names the setting, and what the user reads is one line without a trace of Go's runtime.
func TestLimitsOfTheService(t *testing.T) {
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			// For its own account jacamar prints the reason, and has no operator's log.
			own := d.Name == "no-auth"
			if !own {
				logged(t, s)
			}
			at := under(t, s, open)
			for _, n := range rlimit.Needs() {
				if res := at.limited(n, n.Least); res.Outcome != fakerunner.Success || !strings.Contains(res.Trace, begun) {
					t.Errorf("%s: %s:\n%s", n.Resource, res.Outcome, res.Trace)
				}
				reason := fmt.Sprintf("the runner's limit on %s is %d, below %d: raise it by Limit%s= in the runner's unit", n.What, n.Least-1, n.Least, strings.ToUpper(n.Resource))
				line := "this CI resource is not set up correctly"
				if own {
					line = reason
				}
				if res := at.limited(n, n.Least-1); res.Outcome != fakerunner.SystemFailure || !strings.Contains(res.Trace, "ERROR: "+line) || strings.Contains(res.Trace, begun) || strings.Contains(res.Trace, "goroutine") {
					t.Errorf("%s, too low: %s:\n%s", n.Resource, res.Outcome, res.Trace)
				}
				if !own && !at.recorded(t, reason) {
					t.Errorf("no record has %q", reason)
				}
			}
		})
	}
}

const begun = "the script has run."

// limited runs a job all of whose stages have the limit.
func (p place) limited(n rlimit.Need, limit uint64) fakerunner.Result {
	r := p.runner()
	launch := r.Hooks.Launch
	r.Hooks.Launch = func(stage string) (argv []string) {
		if launch != nil {
			argv = launch(stage)
		}
		return append(argv, "/usr/bin/prlimit", fmt.Sprintf("--%s=%d:%[2]d", n.Resource, limit), "--")
	}
	job := p.site.Job()
	job.Raw = map[string][]byte{"build_script": []byte("echo " + begun + "\n")}
	return r.Run(job)
}

// recorded reports whether the end of a stage has a reason. No job is named: what the runner
// passes was not read.
func (p place) recorded(t *testing.T, reason string) bool {
	return slices.ContainsFunc(records(t, p.site, 0, "stage_end"), func(r record) bool { return strings.HasPrefix(r.Reason, reason) })
}
