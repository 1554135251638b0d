// Package service tests, through the built programs, what the account of the runner's
// service can do with jacamar-auth: that account can write the state between stages, and
// where jacamar-auth has file capabilities it must not become another account by it.
package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

func TestMain(m *testing.M) { os.Exit(site.Main(m)) }

// opened is a deployment in which the service has an account of its own.
func opened(t *testing.T, name string, change ...func(site.Config)) *site.Site {
	t.Helper()
	for _, d := range site.Deployments() {
		if d.Name == name {
			s := d.Open(t)
			all := append([]func(site.Config){func(c site.Config) {
				c.Set("auth", "logging", site.Table{"enabled": true, "level": "debug", "location": logFile(s)})
			}}, change...)
			testutil.Must(t, s.Reconfigure(all...))
			return s
		}
	}
	t.Fatalf("there is no deployment %q", name)
	return nil
}

func logFile(s *site.Site) string { return filepath.Join(s.StateDir, "records") }

// attacker is the service account, with one job that GitLab assigned to it.
type attacker struct {
	s   *site.Site
	job fakerunner.Job
	dir string
	// prefix starts the driver, such as in a namespace.
	prefix []string
}

func attack(t *testing.T, s *site.Site, job fakerunner.Job) attacker {
	t.Helper()
	dir, err := os.MkdirTemp(s.Dir, "runner-")
	testutil.Must(t, err)
	a := attacker{s: s, job: job, dir: dir}
	testutil.Must(t, os.WriteFile(a.path("script"), []byte("#!/bin/bash\necho it runs as $(id)\n"), 0o700))
	testutil.Must(t, os.WriteFile(a.path("response.json"), job.Response(), 0o600))
	for _, file := range []string{dir, a.path("script"), a.path("response.json")} {
		if who := s.Service(); who != nil {
			testutil.Must(t, os.Chown(file, int(who.UID), int(who.GID)))
		}
	}
	return a
}

func (a attacker) path(name string) string { return filepath.Join(a.dir, name) }

// command is a call of a program by the account, with a state in its environment.
func (a attacker) command(state string, argv ...string) *exec.Cmd {
	argv = append(append([]string{}, a.prefix...), argv...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "TMPDIR=" + a.dir, "JOB_RESPONSE_FILE=" + a.path("response.json"), "BUILD_EXIT_CODE_FILE=" + a.path("code"),
		"BUILD_FAILURE_EXIT_CODE=1", "SYSTEM_FAILURE_EXIT_CODE=2", "CUSTOM_ENV_CI_RUNNER_SHORT_TOKEN=t0kenXyz1", "JACAMAR_CI_STATE=" + state,
	}
	if who := a.s.Service(); who != nil && a.prefix == nil {
		cmd.SysProcAttr = credential(*who)
	}
	return cmd
}

// result is an ended call.
type result struct {
	status         int
	stdout, stderr string
}

func (r result) String() string { return fmt.Sprintf("status %d: %s%s", r.status, r.stdout, r.stderr) }

func finished(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func (a attacker) config(t *testing.T, state string) result {
	t.Helper()
	return finished(t, a.command(state, a.s.Auth, "config", "--configuration", a.s.ConfigFile))
}

// stage calls one of the stages after config.
func (a attacker) stage(t *testing.T, name, state string) result {
	t.Helper()
	return finished(t, a.command(state, a.arguments(name)...))
}

// arguments are the command line of a stage after config.
func (a attacker) arguments(name string) []string {
	return append([]string{a.s.Auth}, map[string][]string{
		"prepare": {"prepare"}, "run": {"run", a.path("script"), "build_script"}, "cleanup": {"cleanup", "--configuration", a.s.ConfigFile},
	}[name]...)
}

// state is the output of a correct config stage.
func (a attacker) state(t *testing.T) string {
	t.Helper()
	r := a.config(t, "")
	var answer struct {
		JobEnv map[string]string `json:"job_env"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &answer); err != nil || r.status != 0 || answer.JobEnv["JACAMAR_CI_STATE"] == "" {
		t.Fatalf("config: %v: %s", err, r)
	}
	return answer.JobEnv["JACAMAR_CI_STATE"]
}

var colors = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// refused checks that a call had no effect and prints the reason in one line. The runner
// may repeat it.
func (a attacker) refused(t *testing.T, what string, r result, want string) {
	t.Helper()
	a.refusedWith(t, 2, what, r, want)
}

// refusedWith is refused with another status.
func (a attacker) refusedWith(t *testing.T, status int, what string, r result, want string) {
	t.Helper()
	output := colors.ReplaceAllString(r.stdout+r.stderr, "")
	switch {
	case r.status == 0 || strings.Contains(output, "it runs as"):
		t.Errorf("%s: it was accepted: %s", what, r)
	case r.status != status || strings.Count(output, "ERROR: ") != 1 || !strings.Contains(output, want) || strings.Count(output, "\n") > 2:
		t.Errorf("%s: %s; want one line with %q, and what to do", what, r, want)
	}
	if _, err := os.Lstat(a.path("code")); err == nil {
		t.Errorf("%s: it left an exit code", what)
	}
}

// record is a record of the operator's log.
type record struct{ Event, Decision, Rule, Reason, Stage string }

func records(t *testing.T, s *site.Site) (all []record) {
	t.Helper()
	text, err := os.ReadFile(logFile(s))
	testutil.Must(t, err)
	for line := range strings.Lines(string(text)) {
		var r record
		testutil.Must(t, json.Unmarshal([]byte(line), &r))
		all = append(all, r)
	}
	return all
}

func credential(a site.Account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}}
}
