package briefing

import (
	"errors"
	"net/url"
	"reflect"
	"testing"
	"time"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/seccomp"
)

func environ(t *testing.T, pairs ...string) customexec.Environ {
	t.Helper()
	e, err := customexec.ParseEnviron(pairs)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func env(t *testing.T, pair string) job.Env {
	t.Helper()
	e, err := job.ParseEnv(pair)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func path(t *testing.T, s string) job.AbsPath {
	t.Helper()
	p, err := job.ParseAbsPath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func site(t *testing.T) config.Config {
	t.Helper()
	var c config.Config
	c.General.Executor, c.General.ShellPath, c.General.KillTimeout = config.Shell, path(t, "/bin/bash"), time.Minute
	if err := c.General.DataDir.UnmarshalText([]byte("/data")); err != nil {
		t.Fatal(err)
	}
	c.General.UserBashEnv, c.General.JobMessage, c.General.RetainLogs = []job.Env{env(t, "A=b")}, "hello", true
	c.Auth.Downscope = config.Setuid
	return c
}

func TestSettings(t *testing.T) {
	got := Settings(site(t), environ(t, "LANG=C.UTF-8", "SECRET=x"))
	want := ipc.Settings{
		Executor: "shell", DataDir: "/data", ShellPath: path(t, "/bin/bash"), BashEnv: []job.Env{env(t, "A=b")},
		Login: []job.Env{env(t, "LANG=C.UTF-8")}, Downscope: "setuid", Message: "hello", KillTimeout: time.Minute, RetainLogs: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestNoProfileIsTheAuthorsWish(t *testing.T) {
	for pair, want := range map[string]bool{
		"CUSTOM_ENV_JACAMAR_CI_NO_PROFILE=true": true, "CUSTOM_ENV_JACAMAR_CI_NO_PROFILE=1": true,
		"CUSTOM_ENV_JACAMAR_CI_NO_PROFILE=false": false, "CUSTOM_ENV_JACAMAR_CI_NO_PROFILE=": false, "CUSTOM_ENV_JACAMAR_CI_NO_PROFILE=0": false,
		"JACAMAR_CI_NO_PROFILE=true": false, "X=y": false,
	} {
		if got := Settings(site(t), environ(t, pair)).NoProfile; got != want {
			t.Errorf("%s: %v", pair, got)
		}
	}
}

func TestConfinement(t *testing.T) {
	var ptrace seccomp.Call
	if err := ptrace.UnmarshalText([]byte("ptrace")); err != nil {
		t.Fatal(err)
	}
	nofile, err := rlimit.ParseRange("10:20")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		auth config.Auth
		want ipc.Confinement
	}{
		"nothing asked":      {config.Auth{}, ipc.Confinement{}},
		"no new privileges":  {config.Auth{NoNewPrivs: true}, ipc.Confinement{NoNewPrivs: true, Filter: &seccomp.Filter{}}},
		"no filter":          {config.Auth{NoNewPrivs: true, Seccomp: config.Seccomp{Disabled: true}}, ipc.Confinement{NoNewPrivs: true}},
		"a list":             {config.Auth{NoNewPrivs: true, Seccomp: config.Seccomp{BlockCalls: []seccomp.Call{ptrace}}}, ipc.Confinement{NoNewPrivs: true, Filter: &seccomp.Filter{Block: []seccomp.Call{ptrace}}}},
		"limits":             {config.Auth{Limits: config.Limits{NoFile: nofile}}, ipc.Confinement{Limits: []rlimit.Limit{{Resource: "nofile", Range: nofile}}}},
		"the stack's size":   {config.Auth{SetStackSize: true}, ipc.Confinement{RaiseStack: true}},
		"a filter it cannot": {config.Auth{Seccomp: config.Seccomp{BlockCalls: []seccomp.Call{ptrace}}}, ipc.Confinement{}},
	} {
		s := site(t)
		s.Auth = c.auth
		if got := Settings(s, environ(t)).Confinement; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func always(config.Rule) (bool, error) { return true, nil }

func TestBatchIsForBatchExecutors(t *testing.T) {
	s := site(t)
	if b, err := Batch(s, environ(t), always); b != nil || err != nil {
		t.Errorf("for the shell: %+v, %v", b, err)
	}
	s.General.Executor = config.Slurm
	s.Batch.CommandDelay, s.Batch.DefaultArgs = time.Second, []string{"-N1"}
	b, err := Batch(s, environ(t), always)
	if want := (&ipc.Batch{CommandDelay: time.Second, DefaultArgs: []string{"-N1"}}); err != nil || !reflect.DeepEqual(b, want) {
		t.Errorf("got %+v, %v, want %+v", b, err, want)
	}
}

func TestBatchRules(t *testing.T) {
	s := site(t)
	s.General.Executor, s.General.GitLabServer = config.Slurm, &url.URL{}
	s.Batch.Rules = []config.Rule{{Project: "a/b", Args: []string{"-A"}}, {Namespace: "n", Args: []string{"-B"}, Required: true}, {Args: []string{"-C"}}}
	b, err := Batch(s, environ(t), func(r config.Rule) (bool, error) { return r.Project == "", nil })
	want := []ipc.BatchRule{
		{Name: `[[batch.rule]] number 2 (namespace "n")`, Args: []string{"-B"}, Required: true}, {Name: "[[batch.rule]] number 3", Args: []string{"-C"}},
	}
	if err != nil || !reflect.DeepEqual(b.Rules, want) {
		t.Errorf("got %+v, %v, want %+v", b.Rules, err, want)
	}
	if name := RuleName(0, s.Batch.Rules[0]); name != `[[batch.rule]] number 1 (project "a/b")` {
		t.Errorf("%q", name)
	}
	wrong := errors.New("wrong")
	if _, err := Batch(s, environ(t), func(config.Rule) (bool, error) { return false, wrong }); !errors.Is(err, wrong) {
		t.Errorf("got %v", err)
	}
}

func TestBatchArguments(t *testing.T) {
	s := site(t)
	s.General.Executor, s.Batch.ArgumentsVariable = config.Slurm, []config.Variable{"OTHER", "SCHEDULER_PARAMETERS", "UNSET"}
	long := make([]byte, longestArguments+1)
	for i := range long {
		long[i] = 'x'
	}
	b, err := Batch(s, environ(t, "CUSTOM_ENV_OTHER="+string(long), "CUSTOM_ENV_SCHEDULER_PARAMETERS=-N 1", "OTHER=mine"), always)
	want := []ipc.BatchArguments{{Variable: "SCHEDULER_PARAMETERS", Text: []byte("-N 1")}, {Variable: "OTHER", Text: long[:longestArguments]}}
	if err != nil || !reflect.DeepEqual(b.Arguments, want) {
		t.Errorf("got %d arguments, %v", len(b.Arguments), err)
	}
}
