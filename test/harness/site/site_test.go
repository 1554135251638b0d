package site_test

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

func TestMain(m *testing.M) { os.Exit(site.Main(m)) }

func want(t *testing.T, r fakerunner.Result, o fakerunner.Outcome) {
	t.Helper()
	if r.Outcome != o {
		t.Fatalf("the job ended as %s (%s), want %s\n%s", r.Outcome, r.Reason, o, r.Trace)
	}
}

func TestSite(t *testing.T) {
	s := site.New(t)
	t.Run("a job succeeds as the account", func(t *testing.T) {
		r := s.Runner().Run(s.Job("id -un"))
		want(t, r, fakerunner.Success)
		c, _ := r.Call("build_script")
		if !strings.Contains(string(c.Stdout), "\n"+s.Account.Name+"\n") {
			t.Errorf("id -un printed %q", c.Stdout)
		}
		s.NoProcess(t, 5*time.Second)
	})
	t.Run("an exit code", func(t *testing.T) {
		r := s.Runner().Run(s.Job("exit 7"))
		want(t, r, fakerunner.ScriptFailure)
		if r.ExitCode != 7 {
			t.Errorf("exit code %d, want 7", r.ExitCode)
		}
	})
	t.Run("no token", func(t *testing.T) {
		if r := s.Runner().Run(site.WithToken(s.Job("true"), "")); r.Outcome == fakerunner.Success {
			t.Errorf("a job without a token ran:\n%s", r.Trace)
		}
	})
	t.Run("another job's token", func(t *testing.T) {
		j := s.Job("true")
		r := s.Runner().Run(s.WithClaims(j, s.GitLab.Claims(j, s.User).With("job_id", "1")))
		want(t, r, fakerunner.ScriptFailure)
	})
}

func TestReconfigure(t *testing.T) {
	s := site.New(t, func(c site.Config) { c.Set("auth", "user_blocklist", []string{"someone"}) })
	want(t, s.Runner().Run(s.Job("true")), fakerunner.Success)
	if err := s.Reconfigure(func(c site.Config) { c.Set("auth", "user_blocklist", []string{s.Account.Name}) }); err != nil {
		t.Fatal(err)
	}
	want(t, s.Runner().Run(s.Job("true")), fakerunner.ScriptFailure)
}

func TestServiceAccountWithCapabilities(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file its capabilities")
	}
	s := site.New(t)
	if err := s.ServeAs(s.Accounts.Runner); err != nil {
		t.Fatal(err)
	}
	r := s.Runner().Run(s.Job("id -un", `grep -E '^Cap(Prm|Eff|Inh|Amb)' /proc/self/status`))
	want(t, r, fakerunner.Success)
	c, _ := r.Call("build_script")
	if !strings.Contains(string(c.Stdout), "\n"+s.Account.Name+"\n") || strings.Contains(string(c.Stdout), "c0") {
		t.Errorf("the job printed %q: want the account without capabilities", c.Stdout)
	}
}

// TestDetachedRunnerIsKilled kills the runner itself.
func TestDetachedRunnerIsKilled(t *testing.T) {
	s := site.New(t)
	cmd, err := s.Detached(s.Runner(), s.Job("echo up", "sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(stderr)
	var log []string
	for lines.Scan() && lines.Text() != "up" {
		log = append(log, lines.Text())
	}
	if lines.Text() != "up" {
		t.Fatalf("the script did not start:\n%s", strings.Join(log, "\n"))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.NoProcess(t, 5*time.Second)
}
