package e2e

import (
	"fmt"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// longest is the longest value of a CI variable with a name of two letters: the
// kernel permits 128 KiB for one string of an environment (MAX_ARG_STRLEN, execve(2)),
// of which the runner's prefix, the name, the sign and the end take 15.
const longest = 128<<10 - len("CUSTOM_ENV_XX=\x00")

// TestLongestVariable passes the longest value that the kernel permits unchanged, and
// max_env_chars can refuse it.
func TestLongestVariable(t *testing.T) {
	if longest != 131057 {
		t.Fatalf("the longest value has %d bytes", longest)
	}
	everywhere(t, func(t *testing.T, s *site.Site) {
		try := func(limit int, file bool, script string) fakerunner.Result {
			testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "max_env_chars", limit) }))
			j := s.Job(script)
			j.Variables = append(j.Variables, fakerunner.Variable{Key: "XX", Value: strings.Repeat("x", longest), Raw: true, File: file})
			return s.Runner().Run(j)
		}
		for name, limit := range map[string]int{"without max_env_chars": 0, "with as many allowed": longest} {
			t.Run(name, func(t *testing.T) {
				r := try(limit, false, "echo length ${#XX}.")
				site.Want(t, r, fakerunner.Success, 0)
				if !strings.Contains(r.Trace, fmt.Sprintf("length %d.", longest)) {
					t.Errorf("the log:\n%s", r.Trace)
				}
			})
		}
		t.Run("one over max_env_chars, of type file", func(t *testing.T) {
			r := try(longest-1, true, "echo never")
			text := all(r)
			named := fmt.Sprintf("the CI variable XX is %d bytes long; this resource accepts %d", longest, longest-1)
			if r.Outcome == fakerunner.Success || !strings.Contains(text, named) || strings.Contains(text, "$ echo never") || len(text) > 10_000 {
				t.Errorf("ended as %s, want the line %q and no script, in:\n%.2000s", r.Outcome, named, text)
			}
		})
	})
}

// TestEnvironmentNearlyFull fills the environment of every call to within 64 KiB of the
// kernel's limit. If Jacamar's own variables grew with it, or were in it twice, a later
// stage could not start.
func TestEnvironmentNearlyFull(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		j := s.Job("env >/dev/null && echo still here")
		for i := range 15 {
			j = site.WithVariable(j, fmt.Sprintf("X%c", 'A'+i), strings.Repeat("x", longest))
		}
		j = site.WithVariable(j, "REST", strings.Repeat("x", 64<<10))
		r := s.Runner().Run(j)
		site.Want(t, r, fakerunner.Success, 0)
		if !strings.Contains(r.Trace, "still here") {
			t.Errorf("the log:\n%.2000s", r.Trace)
		}
	})
}

// TestScriptsStartWithALoginEnvironment: the job's environment, apart from its own
// variables, is that of a login shell of its account, whatever the runner and the job
// have.
func TestScriptsStartWithALoginEnvironment(t *testing.T) {
	const show = "env -0 | tr '\\n\\0' ' \\n' | sed 's/^/has /'"
	everywhere(t, func(t *testing.T, s *site.Site) {
		j := s.Job()
		j.Raw = map[string][]byte{"build_script": []byte(show + "\n")}
		r := s.Runner().Run(site.WithVariable(j, "MINE", "x"))
		site.Want(t, r, fakerunner.Success, 0)
		call, _ := r.Call("build_script")
		got, expected := exported(call.ScriptOutput()), exported(inLogin(t, s, show))
		if len(got) < 5 {
			t.Errorf("the log:\n%s", r.Trace)
		}
		for name, value := range got {
			if is, ok := expected[name]; !ok || is != value {
				t.Errorf("the script has %s=%q, a login %q", name, value, is)
			}
		}
		for name := range expected {
			if _, ok := got[name]; !ok {
				t.Errorf("the script has no %s", name)
			}
		}
	})
}

// exported are the variables and functions of an environment, without those of the
// service, of jacamar and of the shell's own state.
func exported(text string) map[string]string {
	const own = " JACAMAR_CI_JOB JACAMAR_CI_SHELL JACAMAR_CI_STAGE LANG OLDPWD PWD SHLVL TZ _ "
	env := map[string]string{}
	for line := range strings.Lines(text) {
		pair, shown := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "has ")
		if name, value, _ := strings.Cut(pair, "="); shown && !strings.Contains(own, " "+name+" ") {
			env[name] = value
		}
	}
	return env
}
