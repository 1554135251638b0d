package ending

import (
	"os"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// laterRules are changes of the site's configuration that refuse a running job.
var laterRules = []struct {
	rule   string
	change func(s *site.Site, c site.Config)
}{
	{"user_blocklist", func(s *site.Site, c site.Config) { c.Set("auth", "user_blocklist", []string{s.Account.Name}) }},
	{"user_allowlist", func(_ *site.Site, c site.Config) { c.Set("auth", "user_allowlist", []string{"another"}) }},
	{"groups_allowlist", func(_ *site.Site, c site.Config) { c.Set("auth", "groups_allowlist", []string{"another"}) }},
	{"min_uid", func(s *site.Site, c site.Config) { c.Set("auth", "min_uid", int64(s.Account.UID)+1) }},
	{"shell_allowlist", func(_ *site.Site, c site.Config) { c.Set("auth", "shell_allowlist", []string{"/bin/another"}) }},
	{"project_blocklist", func(_ *site.Site, c site.Config) { c.Set("auth", "project_blocklist", []string{"**"}) }},
	{"runner_ids", func(_ *site.Site, c site.Config) { c.Set("auth", "runner_ids", []int64{987654321}) }},
}

// TestCleanupAfterRulesChange: the site refuses a job that it granted before. No other
// stage runs except cleanup, which removes all files of the job.
func TestCleanupAfterRulesChange(t *testing.T) {
	for _, d := range site.Deployments() {
		if !d.Changes {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			for _, later := range laterRules {
				t.Run(later.rule, func(t *testing.T) {
					logged(t, s, quick)
					at := under(t, s, open)
					job, res := at.refusedLater(t, func(c site.Config) { later.change(s, c) })
					if c, _ := res.Call("cleanup"); c.Status != 0 {
						t.Errorf("cleanup ended with status %d: %s", c.Status, c.Stderr)
					}
					decisions := records(t, s, job, "decision")
					last := decisions[len(decisions)-1]
					if last.Stage != "cleanup" || last.Decision != "allow" || last.Rule != "cleanup" && later.rule != "runner_ids" {
						t.Errorf("the operator's log has %+v", last)
					}
				})
			}
			t.Run("the account is gone", func(t *testing.T) {
				if os.Geteuid() != 0 {
					t.Skip("needs root: it replaces getent in a namespace")
				}
				for name, getent := range map[string]string{"no such account": "exit 2", "another uid": "echo \"$4:x:4000000:4000000::/:/bin/bash\""} {
					logged(t, s, quick)
					at := under(t, s, open)
					at.getent = "#!/bin/bash\n" + getent + "\n"
					_, res := at.refusedLater(t, func(c site.Config) { c.Set("auth", "min_uid", int64(s.Account.UID)+1) })
					if c, _ := res.Call("cleanup"); c.Status != 1 || !strings.Contains(string(c.Stderr), "not allowed") {
						t.Errorf("%s: cleanup ended with status %d: %s", name, c.Status, c.Stderr)
					}
				}
			})
		})
	}
}

// refusedLater runs a job that the site's rules refuse once it was prepared.
func (p place) refusedLater(t *testing.T, change func(site.Config)) (job int64, res fakerunner.Result) {
	t.Helper()
	r := p.runner()
	if p.getent != "" {
		r.Judge = nil // cleanup is refused, and so files are left
	}
	r.Hooks.Ended = func(c fakerunner.Call) {
		if c.Stage != "prepare" {
			return
		}
		logged(t, p.site, quick, change)
		if p.getent == "" {
			return
		}
		if err := p.ns.Put("/usr/bin/getent", p.getent, 0o755); err != nil {
			t.Error(err)
		}
	}
	j := p.site.Job("echo the script has run")
	res = r.Run(j)
	if res.Outcome != fakerunner.ScriptFailure || strings.Contains(res.Trace, "the script has run\n") {
		t.Errorf("the job ended as %s:\n%s", res.Outcome, res.Trace)
	}
	return j.ID, res
}
