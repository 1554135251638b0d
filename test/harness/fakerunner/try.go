package fakerunner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// try is one executor object: its own directory, and an empty job_env until
// its config stage has succeeded.
type try struct {
	e      *Execution
	number int
	dir    string
	config ConfigOutput
	shell  string
}

const (
	responseName = "response.json"
	codeFileName = "build_exit_code"
)

// newTry makes the try's directory: 0700, with the job response in it as 0600,
// owned by the runner's account.
func (e *Execution) newTry(number int) (*try, error) {
	dir, err := os.MkdirTemp(e.runner.TempRoot, "custom-executor")
	if err != nil {
		return nil, err
	}
	t := &try{e: e, number: number, dir: dir}
	if err := t.fill(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if hook := e.runner.Hooks.TempDir; hook != nil {
		hook(dir)
	}
	return t, nil
}

func (t *try) fill() error {
	c := t.e.runner.Credential
	file := filepath.Join(t.dir, responseName)
	if err := os.WriteFile(file, t.e.job.Response(), 0o600); err != nil {
		return err
	}
	return errors.Join(c.own(t.dir), c.own(file))
}

// prepare runs config and prepare.
func (t *try) prepare(ctx context.Context) error {
	if len(t.e.runner.Custom.Run) == 0 {
		return &BuildError{Text: "custom executor is missing RunExec"}
	}
	if err := t.configure(ctx); err != nil {
		return err
	}
	c := t.e.runner.Custom
	if len(c.Prepare) == 0 {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, orDefault(c.PrepareTimeout, time.Hour))
	defer stop()
	return t.call(ctx, "prepare", c.Prepare).Err
}

func (t *try) configure(ctx context.Context) error {
	c := t.e.runner.Custom
	if len(c.Config) > 0 {
		ctx, stop := context.WithTimeout(ctx, orDefault(c.ConfigTimeout, time.Hour))
		defer stop()
		call := t.call(ctx, "config", c.Config)
		if call.Err != nil {
			return call.Err
		}
		var err error
		if t.config, err = parseConfig(call.Stdout); err != nil {
			return err
		}
	}
	return t.settle()
}

// settle does the runner's work between config and prepare.
func (t *try) settle() (err error) {
	if t.shell, err = t.e.runner.shellFor(t.config); err != nil {
		return err
	}
	if t.e.dirs, err = t.e.layout(t.config); err != nil {
		return err
	}
	if given := t.e.runner.Given; given != nil {
		given(t.e.job.ID, t.e.dirs.builds)
	}
	t.e.using(t.config)
	return nil
}

// run runs one sub-stage.
func (t *try) run(ctx context.Context, stage string, script []byte) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	path, err := t.writeScript(script)
	if err != nil {
		return err
	}
	argv := append(append([]string{}, t.e.runner.Custom.Run...), path, stage)
	return t.call(ctx, stage, argv).Err
}

func (t *try) writeScript(script []byte) (string, error) {
	dir, err := os.MkdirTemp(t.dir, "script")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "script")
	c := t.e.runner.Credential
	return path, errors.Join(os.WriteFile(path, script, 0o700), c.own(path), c.own(dir))
}

// cleanup runs cleanup_exec with its own timeout and removes the directory in any case.
func (t *try) cleanup() {
	defer func() {
		if err := os.RemoveAll(t.dir); err != nil {
			t.e.trace.line("WARNING: cannot remove %s: %v", t.dir, err)
		}
	}()
	c := t.e.runner.Custom
	if len(c.Cleanup) == 0 {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), orDefault(c.CleanupTimeout, time.Hour))
	defer stop()
	if call := t.call(ctx, "cleanup", c.Cleanup); call.Err != nil {
		t.e.trace.line("WARNING: Cleanup script failed: %v", call.Err)
	}
}

// call starts the driver once and keeps a record of it.
func (t *try) call(ctx context.Context, stage string, argv []string) Call {
	e := t.e
	credential := e.runner.Credential
	if hook := e.runner.Hooks.Launch; hook != nil {
		if launcher := hook(stage); launcher != nil {
			argv, credential = slices.Concat(launcher, argv), nil
		}
	}
	c := Call{Stage: stage, Try: t.number, Argv: argv, Env: t.environ(), Dir: t.dir, Started: time.Now()}
	stdout, stderr := e.taps(stage)
	cmd := command{
		argv: argv, env: c.Env, dir: t.dir, credential: credential, stdout: stdout, stderr: stderr,
		graceful: orDefault(e.runner.Custom.GracefulKill, 10*time.Minute),
		force:    orDefault(e.runner.Custom.ForceKill, 10*time.Second), longest: e.runner.Longest,
		started: func(pid int) {
			c.PID = pid
			e.noteStart(Process{Stage: stage, PID: pid})
		},
		warn: func(format string, args ...any) {
			c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
		},
	}
	err := cmd.run(ctx)
	c.Duration = time.Since(c.Started)
	c.Status, c.Signal = status(err)
	c.Stdout, c.StdoutCount = stdout.end()
	c.Stderr, c.StderrCount = stderr.end()
	c.CodeFile = readCodeFile(filepath.Join(t.dir, codeFileName))
	if c.Err = judge(err, c.CodeFile); c.Err != nil {
		c.Failure = c.Err.Error()
	}
	e.noteCall(c)
	return c
}

// environ is the driver's environment. Of two entries with one name exec uses
// the last.
func (t *try) environ() []string {
	env := append([]string{}, t.e.runner.environ()...)
	env = append(env,
		"TMPDIR="+t.dir,
		"BUILD_FAILURE_EXIT_CODE=1",
		"SYSTEM_FAILURE_EXIT_CODE=2",
		"BUILD_EXIT_CODE_FILE="+filepath.Join(t.dir, codeFileName),
		"JOB_RESPONSE_FILE="+filepath.Join(t.dir, responseName),
	)
	for key, value := range t.config.JobEnv {
		env = append(env, key+"="+value)
	}
	return append(env, t.e.variables().environ()...)
}
