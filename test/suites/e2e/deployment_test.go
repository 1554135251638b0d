package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestSudoRules tries settings that sites have in sudoers in addition to the rule.
func TestSudoRules(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can write sudo rules")
	}
	for name, c := range map[string]struct {
		lines   []string
		refused bool
	}{
		"nothing else":             {nil, false},
		"with a pty":               {[]string{"Defaults:RUNNER use_pty"}, false},
		"without a pty":            {[]string{"Defaults:RUNNER !use_pty"}, false},
		"with a terminal required": {[]string{"Defaults:RUNNER requiretty"}, true},
		"with env_reset":           {[]string{"Defaults:RUNNER env_reset", `Defaults:RUNNER env_keep += "LD_PRELOAD BASH_ENV"`}, false},
		"without env_reset":        {[]string{"Defaults:RUNNER !env_reset"}, false},
		"with a umask":             {[]string{"Defaults:RUNNER umask=0077, umask_override"}, false},
		"with a closefrom":         {[]string{"Defaults:RUNNER closefrom=3"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := site.New(t)
			if err := s.ServeBySudo(t, c.lines...); err != nil {
				t.Fatal(err)
			}
			if err := s.Reconfigure(quick); err != nil {
				t.Fatal(err)
			}
			r := s.Runner().Run(s.Job("echo umask $(umask).", "exit 7"))
			if c.refused {
				site.Want(t, r, fakerunner.SystemFailure, 0)
			} else {
				site.Want(t, r, fakerunner.ScriptFailure, 7)
				if !strings.Contains(r.Trace, "umask 0022.") {
					t.Errorf("the umask is another:\n%s", r.Trace)
				}
			}
			s.NoProcess(t, 0)
		})
	}
}

// TestNoFallback removes from each strategy what it needs: the job is refused, not run in
// another way.
func TestNoFallback(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can set up what is removed here")
	}
	for name, c := range map[string]struct {
		deployment string
		change     func(*testing.T, *site.Site)
		config     func(site.Config)
		reason     string
	}{
		"capabilities without the capabilities": {"sudo", nil, func(c site.Config) { c.Set("auth", "downscope", "setuid") }, "lacks CAP_SETUID and CAP_SETGID"},
		"capabilities under no_new_privs":       {"capabilities", noNewPrivs, nil, "no_new_privs is set"},
		"sudo under no_new_privs":               {"sudo", noNewPrivs, nil, "no_new_privs is set"},
		"sudo without a rule":                   {"capabilities", nil, func(c site.Config) { c.Set("auth", "downscope", "sudo") }, "the sudo rule must allow it"},
		"none for another account":              {"capabilities", nil, func(c site.Config) { c.Set("auth", "downscope", "none") }, ""},
		"root without a change":                 {"root", nil, func(c site.Config) { c.Set("auth", "downscope", "none") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var changes []func(site.Config)
			if c.config != nil {
				changes = append(changes, c.config)
			}
			s := deployment(t, c.deployment).Open(t, changes...)
			r := unobfuscated(s)
			if c.change != nil {
				c.change(t, s)
				r = under(s, "/usr/bin/setpriv", "--no-new-privs")
				r.Judge = nil // cleanup cannot write the operator's log either
			}
			res := r.Run(s.Job("echo never"))
			outcome := fakerunner.SystemFailure
			if c.reason == "" {
				outcome = fakerunner.ScriptFailure // the rules refuse the account
			}
			site.Want(t, res, outcome, res.ExitCode)
			if strings.Contains(res.Trace, "$ echo never") || !strings.Contains(all(res), c.reason) {
				t.Errorf("want no script, and %q, in:\n%s", c.reason, all(res))
			}
			s.NoProcess(t, 0)
		})
	}
}

func noNewPrivs(t *testing.T, _ *site.Site) {
	if _, err := os.Stat("/usr/bin/setpriv"); err != nil {
		t.Skip("setpriv (util-linux) is not installed")
	}
}

func deployment(t *testing.T, name string) site.Deployment {
	t.Helper()
	for _, d := range site.Deployments() {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("there is no deployment %q", name)
	return site.Deployment{}
}

// unobfuscated is a runner whose driver prints every reason.
func unobfuscated(s *site.Site) *fakerunner.Runner { return under(s) }

// under is a runner that starts the driver, with -u, by another program.
func under(s *site.Site, launcher ...string) *fakerunner.Runner {
	r := s.Runner()
	for _, command := range []*[]string{&r.Custom.Config, &r.Custom.Prepare, &r.Custom.Run, &r.Custom.Cleanup} {
		argv := *command
		*command = append(append(append([]string{}, launcher...), argv[0], "-u"), argv[1:]...)
	}
	return r
}

// all is the output of every call.
func all(r fakerunner.Result) string {
	text := r.Trace
	for _, c := range r.Calls {
		text += fmt.Sprintf("\n[%s] %s%s", c.Stage, c.Stdout, c.Stderr)
	}
	return text
}
