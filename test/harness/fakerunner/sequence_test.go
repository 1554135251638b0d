package fakerunner_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/test/harness/fakerunner"
)

var (
	minimal = "config prepare prepare_script get_sources build_script cleanup_file_variables cleanup"
	full    = "config prepare prepare_script get_sources restore_cache download_artifacts build_script after_script " +
		"archive_cache upload_artifacts_on_success cleanup_file_variables cleanup"
)

func fullJob(script string) fakerunner.Job {
	j := newJob(script)
	j.AfterScript = []string{"echo after with $CI_JOB_STATUS"}
	j.Cache = []fakerunner.Cache{{Key: "k", Paths: []string{"c"}, When: "always"}}
	j.Artifacts = []fakerunner.Artifact{{Name: "out", Paths: []string{"a"}, When: "always"}}
	j.Dependencies = []fakerunner.Dependency{{ID: 4710, Name: "compile", Token: "other"}}
	return j
}

func TestSequence(t *testing.T) {
	tests := []struct {
		name string
		on   on
		job  fakerunner.Job
		want string
	}{
		{"a minimal job is seven calls", nil, newJob("true"), minimal},
		{"caches, artifacts and after_script make twelve", nil, fullJob("true"), full},
		{
			"a failed script saves what is saved on failure", nil, fullJob("exit 3"),
			"config prepare prepare_script get_sources restore_cache download_artifacts build_script after_script " +
				"archive_cache_on_failure upload_artifacts_on_failure cleanup_file_variables cleanup",
		},
		{"config's exit 1 is final", on{"config": "exit 1"}, newJob(), "config cleanup"},
		{"config's exit 2 is tried three times", on{"config": "exit 2"}, newJob(), "config cleanup config cleanup config cleanup"},
		{
			"prepare's exit 2 is tried three times",
			on{"prepare": "exit 2"},
			newJob(),
			"config prepare cleanup config prepare cleanup config prepare cleanup",
		},
		{
			"a failed prepare_script ends the job",
			on{"run": `[ "$2" = prepare_script ] && exit 1; exit 0`},
			fullJob("true"),
			"config prepare prepare_script cleanup",
		},
		{
			"a failed get_sources leaves out the scripts",
			on{"run": `[ "$2" = get_sources ] && exit 1; exit 0`},
			fullJob("true"),
			"config prepare prepare_script get_sources archive_cache_on_failure upload_artifacts_on_failure cleanup_file_variables cleanup",
		},
		{
			"get_sources is tried again behind clear_worktree",
			on{"run": `[ "$2" = get_sources ] && exit 1; exit 0`},
			with(newJob("true"), "GET_SOURCES_ATTEMPTS", "3"),
			"config prepare prepare_script get_sources clear_worktree get_sources get_sources cleanup_file_variables cleanup",
		},
		{
			"a clear_worktree that fails is the failure of its attempt",
			on{"run": `case $2 in get_sources | clear_worktree) exit 1 ;; esac; exit 0`},
			with(newJob("true"), "GET_SOURCES_ATTEMPTS", "3"),
			"config prepare prepare_script get_sources clear_worktree get_sources cleanup_file_variables cleanup",
		},
		{
			"ten attempts are the most",
			on{"run": `[ "$2" = get_sources ] && exit 1; exit 0`},
			with(newJob("true"), "GET_SOURCES_ATTEMPTS", "99"),
			"config prepare prepare_script get_sources clear_worktree" + strings.Repeat(" get_sources", 9) + " cleanup_file_variables cleanup",
		},
		{"a script is never tried again", on{"run": `[ "$2" = build_script ] && exit 2; exit 0`}, with(newJob("true"), "GET_SOURCES_ATTEMPTS", "3"), minimal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRunner(t, tt.on).Run(tt.job)
			if diff := cmp.Diff(tt.want, strings.Join(r.Stages(), " ")); diff != "" {
				t.Errorf("stages (-want +got):\n%s\n%s", diff, r.Trace)
			}
		})
	}
}

func TestStepsStopAtTheFirstFailure(t *testing.T) {
	j := newJob("echo main")
	j.Steps = []fakerunner.Step{{Name: "release", Script: []string{"exit 9"}}, {Name: "later", Script: []string{"true"}}}
	r := newRunner(t, nil).Run(j)
	want := "config prepare prepare_script get_sources build_script step_release cleanup_file_variables cleanup"
	if got := strings.Join(r.Stages(), " "); got != want {
		t.Errorf("stages %s, want %s", got, want)
	}
	outcome(t, r, fakerunner.ScriptFailure)
	if r.ExitCode != 9 {
		t.Errorf("exit code %d, want 9", r.ExitCode)
	}
}

func TestRunIsRequired(t *testing.T) {
	runner := newRunner(t, nil)
	runner.Custom.Run = nil
	r := runner.Run(newJob())
	outcome(t, r, fakerunner.ScriptFailure)
	if got := strings.Join(r.Stages(), " "); got != "cleanup" {
		t.Errorf("stages %q, want cleanup alone", got)
	}
}

func TestOnlyRunIsRequired(t *testing.T) {
	runner := newRunner(t, nil)
	runner.Custom.Config, runner.Custom.Prepare, runner.Custom.Cleanup = nil, nil, nil
	r := runner.Run(newJob("true"))
	outcome(t, r, fakerunner.Success)
	if got := strings.Join(r.Stages(), " "); got != "prepare_script get_sources build_script cleanup_file_variables" {
		t.Errorf("stages %q", got)
	}
}

// A failure of cleanup_file_variables, the resource's too, is in the runner's own log alone.
func TestCleanupOfFileVariablesChangesNoResult(t *testing.T) {
	for _, code := range []string{"1", "2", "77"} {
		r := newRunner(t, on{"run": `[ "$2" = cleanup_file_variables ] && exit ` + code + `; exit 0`}).Run(newJob("true"))
		outcome(t, r, fakerunner.Success)
	}
}
