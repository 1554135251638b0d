package fakerunner_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
)

// on sets what the driver of testdata does in a stage.
type on map[string]string

// newRunner is a runner whose driver is the one of testdata, with no pauses
// and short kill times.
func newRunner(t *testing.T, on on) *fakerunner.Runner {
	t.Helper()
	driver, err := filepath.Abs("testdata/driver")
	if err != nil {
		t.Fatal(err)
	}
	r := &fakerunner.Runner{
		Custom: fakerunner.Custom{
			Config: []string{driver, "config"}, Prepare: []string{driver, "prepare"},
			Run: []string{driver, "run"}, Cleanup: []string{driver, "cleanup"},
			GracefulKill: 300 * time.Millisecond, ForceKill: 300 * time.Millisecond,
		},
		BuildsDir: t.TempDir(), CacheDir: t.TempDir(), TempRoot: t.TempDir(), ShortToken: "t0ken",
		Environ:    []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()},
		RetryPause: -1, StagePause: -1,
	}
	for stage, text := range on {
		r.Environ = append(r.Environ, "ON_"+stage+"="+text)
	}
	return r
}

// newJob is a job without sources.
func newJob(script ...string) fakerunner.Job {
	return fakerunner.Job{
		ID: 4711, Name: "build", Stage: "test", Token: "job-token", PipelineID: 42, UserID: 7,
		Project: fakerunner.Project{ID: 12, FullPath: "group/project", NamespaceID: 3},
		Git: fakerunner.Git{
			RepoURL: "https://gitlab-ci-token:job-token@gitlab.example/group/project.git", Ref: "main", RefType: "branch",
			SHA: "0123456789abcdef0123456789abcdef01234567",
		},
		Variables: []fakerunner.Variable{
			{Key: "GIT_STRATEGY", Value: "none"}, {Key: "CI_JOB_TOKEN", Value: "job-token", Masked: true},
		},
		Script: script,
	}
}

func with(j fakerunner.Job, pairs ...string) fakerunner.Job {
	for i := 0; i < len(pairs); i += 2 {
		j.Variables = append(j.Variables, fakerunner.Variable{Key: pairs[i], Value: pairs[i+1]})
	}
	return j
}

// call returns the last call of a stage, which must exist.
func call(t *testing.T, r fakerunner.Result, stage string) fakerunner.Call {
	t.Helper()
	c, ok := r.Call(stage)
	if !ok {
		t.Fatalf("no %s among the calls %v\n%s", stage, r.Stages(), r.Trace)
	}
	return c
}

// soon bounds the waiting for an event.
func soon(t *testing.T) context.Context {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(stop)
	return ctx
}

func outcome(t *testing.T, r fakerunner.Result, want fakerunner.Outcome) {
	t.Helper()
	if r.Outcome != want {
		t.Fatalf("outcome %s (%s), want %s\n%s", r.Outcome, r.Reason, want, r.Trace)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}
