package privdrop

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	proved "jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// granted returns a grant for an account that this process may start programs as: as
// root an unused uid, else its own.
func granted(t *testing.T) (policy.Grant, settings.Downscope) {
	t.Helper()
	a, strategy, rules := account(t, "alice", 5001), settings.Setuid, policy.Rules{Source: settings.UserLogin}
	facts := policy.Facts{Owner: a.Name, Shells: []job.AbsPath{program(t, "/bin/bash")}}
	if euid := os.Geteuid(); euid != 0 {
		a.UID, strategy, rules.RunAsService, facts.Service = job.UID(euid), settings.None, true, job.UID(euid)
	}
	a.Shell = facts.Shells[0]
	facts.Account = a
	id := proved.Identity{User: proved.User{ID: 7, Login: "alice"}}
	candidate, d := policy.Choose(id, rules)
	if !d.Allowed {
		t.Fatalf("%+v", d)
	}
	grant, d := policy.Decide(id, candidate, facts, rules)
	if !d.Allowed {
		t.Fatalf("%+v", d)
	}
	return grant, strategy
}

func TestStart(t *testing.T) {
	if err := checkNoTerminal(); err != nil {
		t.Skipf("the tests themselves run at a terminal: %v", err)
	}
	grant, strategy := granted(t)
	for _, c := range []struct {
		name, program string
		strategy      settings.Downscope
		kind          failure.Kind
		want          string
	}{
		{"well", "/bin/true", strategy, failure.System, ""},
		{"no such program", "/nonexistent/jacamar", strategy, failure.Config, "cannot start /nonexistent/jacamar as alice: no such file or directory: install all"},
		{"no such strategy", "/bin/true", "su", failure.Config, "is not a strategy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			child, _, err := Launcher{Strategy: c.strategy, Jacamar: program(t, c.program), Stdout: os.Stdout, Stderr: os.Stderr, Core: core}.Start(grant, job.Run)
			if c.want != "" {
				if child != nil || failure.KindOf(err) != c.kind || err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, %v, want %q", child, err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			child.Close()
			if pid, err := unix.Wait4(child.PID, nil, 0, nil); err != nil || pid != child.PID {
				t.Errorf("%d, %v", pid, err)
			}
		})
	}
}
