package ending

import (
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestWrapperKeepsItsChildren: a site starts jacamar-auth by a shell that copies the output
// elsewhere and is replaced by it. The copying process is no process of the job: it gets all
// of the output, and no stage fails because of it.
func TestWrapperKeepsItsChildren(t *testing.T) {
	wrapper := []string{"/bin/bash", "-c", `exec > >(exec cat) 2> >(exec cat >&2); exec "$@"`, "wrapper"}
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			at := place{site: s}
			r := s.Runner()
			r.Hooks.Launch = func(string) []string { return slices.Concat(wrapper, at.becomeOr("/usr/bin/env")) }
			job := s.Job()
			job.Raw = map[string][]byte{"build_script": []byte("sleep 1000 &\nseq 200000\necho the last line\n")}
			res := r.Run(job)
			if res.Outcome != fakerunner.Success || !strings.Contains(res.Trace, "the last line\n") {
				t.Errorf("%s: %.3000s", res.Outcome, res.Trace)
			}
			if c, _ := res.Call("cleanup"); c.Err != nil {
				t.Errorf("the cleanup failed: %s", c.Stderr)
			}
			site.NoProcess(t, limit, ours(s))
		})
	}
}
