package gitlabrunner_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// official finds the real runner.
func official(t *testing.T) string {
	t.Helper()
	if named := os.Getenv("GITLAB_RUNNER"); named != "" {
		path, err := filepath.EvalSymlinks(named)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	path, err := exec.LookPath("gitlab-runner")
	if err != nil {
		t.Skip("no official gitlab-runner on PATH, and GITLAB_RUNNER names none")
	}
	return path
}

// configuration is the runner's config.toml, with the same settings of the driver as in
// fakerunner.
func configuration(s *site.Site) ([]byte, error) {
	c := s.Runner().Custom
	return toml.Marshal(map[string]any{
		"concurrent": 10, "check_interval": 1, "shutdown_timeout": 20,
		"runners": []map[string]any{{
			"name": "official", "url": s.GitLab.URL, "token": runnerToken, "executor": "custom", "tls-ca-file": s.GitLab.CAFile,
			"limit": 10, "request_concurrency": 4, "shell": "bash",
			"custom": map[string]any{
				"config_exec": c.Config[0], "config_args": c.Config[1:], "prepare_exec": c.Prepare[0], "prepare_args": c.Prepare[1:],
				"run_exec": c.Run[0], "run_args": c.Run[1:], "cleanup_exec": c.Cleanup[0], "cleanup_args": c.Cleanup[1:],
				"graceful_kill_timeout": 20, "force_kill_timeout": 5,
			},
		}},
	})
}

// runnerLog is the log of the real runner.
const runnerLog = "runner.log"

// startOfficial runs the real runner until the test is over. The context that
// it returns ends when the runner does.
func startOfficial(t *testing.T, s *site.Site, program string) context.Context {
	t.Helper()
	config, err := configuration(s)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Dir, "config.toml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(s.Dir, runnerLog))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(program, "run", "--config", file, "--working-directory", s.Dir)
	cmd.Env = append(s.Runner().Environ, "TMPDIR="+filepath.Join(s.Dir, "tmp"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	alive, over := context.WithCancelCause(context.Background())
	go func() { over(fmt.Errorf("the runner has ended: %v", cmd.Wait())) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-alive.Done()
		if text, err := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("the runner's own log (%v):\n%s%v", context.Cause(alive), text, err)
		}
	})
	return alive
}

// runnerToken is as long as a real one: the runner cuts its short form out of it.
const runnerToken = "glrt-t0kenXyz1abcdefghijk"

// outcomeOf is the outcome in the report to GitLab. A cancellation has a reason
// of the runner's own that GitLab does not know.
func outcomeOf(state, reason string, canceled bool) fakerunner.Outcome {
	switch {
	case state == "success":
		return fakerunner.Success
	case canceled:
		return fakerunner.Canceled
	}
	return fakerunner.Outcome(reason)
}

func TestOfficialRunner(t *testing.T) {
	program := official(t)
	s, repos := setUp(t)
	alive := startOfficial(t, s, program)
	play := func(ctx context.Context, j fakerunner.Job, cancel string) (report, error) {
		ctx, stop := context.WithCancelCause(ctx)
		defer context.AfterFunc(alive, func() { stop(context.Cause(alive)) })()
		a := s.GitLab.Assign(j)
		if cancel != "" {
			// The command is shown before it runs, but with a colour's end behind it.
			if err := a.AwaitTrace(ctx, cancel+"\n"); err != nil {
				r, _ := a.Wait(ctx)
				return report{trace: r.Trace}, fmt.Errorf("canceling: %w", err)
			}
			a.Cancel()
		}
		r, err := a.Wait(ctx)
		return report{outcomeOf(r.State, r.Reason, cancel != ""), r.ExitCode, r.Trace}, err
	}
	own := s.Own()
	b := bench{site: s, repos: repos, play: play, ours: func(p site.Process) bool { return own(p) && p.Exe != program }}
	first := b.first(t)
	if b.one = first.code == 1; b.one {
		t.Log("this runner is too old to report a script's exit code: all of them count as 1")
	}
	b.distrusted = trustsNoSubmodule(t, first.trace)
	b.run(t)
	// A cleanup that fails changes no job's result: only the runner's log has it.
	log, err := os.ReadFile(filepath.Join(s.Dir, runnerLog))
	if err != nil || !strings.Contains(string(log), "Job succeeded") {
		t.Fatalf("the runner's log has no job: %v", err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "Cleanup script failed") {
			t.Error(line)
		}
	}
}

// trustsNoSubmodule reports whether the runner has the server's CA in the
// repository's own configuration, where a submodule's clone does not look.
func trustsNoSubmodule(t *testing.T, trace string) bool {
	t.Helper()
	version := between(trace, "Running with gitlab-runner ", " ")
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		t.Fatalf("the runner's version is %q: %v", version, err)
	}
	return major < 18 || (major == 18 && minor < 6)
}

// first runs a job that ends with 7. A runner of 17.x does not read
// BUILD_EXIT_CODE_FILE and reports every failed script with 1.
func (b bench) first(t *testing.T) report {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	r, err := b.play(ctx, b.site.Job("exit 7"), "")
	if err != nil || r.outcome != fakerunner.ScriptFailure {
		t.Fatalf("the first job was reported as %s: %v\n%s", r.outcome, err, r.trace)
	}
	return r
}

// TestConfigurationOfTheOfficialRunner also runs without an official runner.
func TestConfigurationOfTheOfficialRunner(t *testing.T) {
	s := site.New(t)
	text, err := configuration(s)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Runners []struct {
			Executor string
			Custom   struct {
				ConfigArgs  []string `toml:"config_args"`
				CleanupArgs []string `toml:"cleanup_args"`
				RunExec     string   `toml:"run_exec"`
			}
		}
	}
	if err := toml.Unmarshal(text, &got); err != nil || len(got.Runners) != 1 {
		t.Fatalf("%v\n%s", err, text)
	}
	r := got.Runners[0]
	want := "--configuration " + s.ConfigFile
	if r.Executor != "custom" || strings.Join(r.Custom.ConfigArgs, " ") != "config "+want || strings.Join(r.Custom.CleanupArgs, " ") != "cleanup "+want || r.Custom.RunExec != s.Auth {
		t.Errorf("%+v", r)
	}
}
