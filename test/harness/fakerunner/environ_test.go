package fakerunner_test

import (
	"encoding/json"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
)

// seen returns what the driver of a job prints for an expression in a stage.
func seen(t *testing.T, runner *fakerunner.Runner, j fakerunner.Job, stage, expression string) string {
	t.Helper()
	runner.Environ = append(runner.Environ, "ON_"+stage+"=printf %s "+expression+" >&2")
	r := runner.Run(j)
	if stage == "run" {
		stage = "get_sources"
	}
	return string(call(t, r, stage).Stderr)
}

func TestDriverEnvironment(t *testing.T) {
	config := `printf '{"job_env":{"STATE":"s","PATH":"/usr/bin:/bin","CUSTOM_ENV_TAKEN":"driver","CUSTOM_ENV_OWN":"driver","TMPDIR":"/moved"}}'`
	j := with(newJob(), "TAKEN", "job", "CI_BUILDS_DIR", "/evil", "RUNNER_TEMP_PROJECT_DIR", "/evil", "A", "1", "A", "2", "B", "x${A}y$A$NONE")
	j.Variables = append(j.Variables,
		fakerunner.Variable{Key: "RAW", Value: "$A", Raw: true},
		fakerunner.Variable{Key: "FILE", Value: "two\nlines", File: true},
		fakerunner.Variable{Key: "REF", Value: "$FILE"})
	tests := []struct{ name, stage, expression, want string }{
		{"the runner's own environment is passed on", "config", `"$SERVICE_SECRET"`, "operator"},
		{"the two exit statuses", "config", `"$BUILD_FAILURE_EXIT_CODE$SYSTEM_FAILURE_EXIT_CODE"`, "12"},
		{"job_env does not reach config", "config", `"[$STATE]"`, "[]"},
		{"job_env reaches prepare", "prepare", `"$STATE"`, "s"},
		{"job_env reaches run", "run", `"$STATE"`, "s"},
		{"job_env reaches cleanup", "cleanup", `"$STATE"`, "s"},
		{"job_env overwrites what the runner sets", "prepare", `"$PATH,$TMPDIR"`, "/usr/bin:/bin,/moved"},
		{"a job variable beats job_env under CUSTOM_ENV_", "prepare", `"$CUSTOM_ENV_TAKEN"`, "job"},
		{"other CUSTOM_ENV_ names of job_env are kept", "prepare", `"$CUSTOM_ENV_OWN"`, "driver"},
		{"a job variable hides the build directory", "prepare", `"$CUSTOM_ENV_CI_BUILDS_DIR"`, "/evil"},
		{"the last group cannot be overridden", "prepare", `"${CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR##*/}"`, "project.tmp"},
		{"the last of one name counts", "prepare", `"$CUSTOM_ENV_A"`, "2"},
		{"values are expanded once", "prepare", `"$CUSTOM_ENV_B"`, "x2y2"},
		{"raw ones are not", "prepare", `"$CUSTOM_ENV_RAW"`, "$A"},
		{"a file variable is its content", "prepare", `"$CUSTOM_ENV_FILE"`, "two\nlines"},
		{"a reference to it is its path", "prepare", `"${CUSTOM_ENV_REF##*/project.tmp}"`, "/FILE"},
		{"feature flags are resolved", "prepare", `"$CUSTOM_ENV_FF_TIMESTAMPS"`, "true"},
		{"no services", "prepare", `"${CUSTOM_ENV_CI_JOB_SERVICES-unset}"`, ""},
		{"no directories in config", "config", `"[$CUSTOM_ENV_CI_PROJECT_DIR,$CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR]"`, "[,.tmp]"},
		{"the job's status", "prepare", `"$CUSTOM_ENV_CI_JOB_STATUS"`, "running"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			runner := newRunner(t, on{"config": config})
			runner.Environ = append(runner.Environ, "SERVICE_SECRET=operator")
			if tt.stage == "config" {
				tt.expression += ` && ` + config
				tt.expression = strings.Replace(tt.expression, " && ", " >&2; ", 1) + "; true"
			}
			if got := seen(t, runner, j, tt.stage, tt.expression); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestJobEnvStartsEmptyInEachTry(t *testing.T) {
	r := newRunner(t, on{
		"config":  `[ "$STATE" = "" ] || exit 1; printf '{"job_env":{"STATE":"s"}}'`,
		"prepare": "exit 2",
		"cleanup": `printf "$STATE"`,
	}).Run(newJob())
	if len(r.Calls) != 9 {
		t.Fatalf("calls %v, want nine", r.Stages())
	}
	for _, i := range []int{2, 5, 8} {
		if got := string(r.Calls[i].Stdout); got != "s" {
			t.Errorf("cleanup of try %d has STATE %q, want that of its own config", r.Calls[i].Try, got)
		}
	}
}

func TestCleanupAfterFailedConfigHasNoState(t *testing.T) {
	r := newRunner(t, on{
		"config":  `printf '{"job_env":{"STATE":"s"}} noise'`,
		"cleanup": `[ -s "$JOB_RESPONSE_FILE" ] && printf "[$STATE]$CUSTOM_ENV_CI_JOB_TOKEN"`,
	}).Run(newJob())
	if got := string(call(t, r, "cleanup").Stdout); got != "[]job-token" {
		t.Errorf("cleanup printed %q", got)
	}
}

func TestTooLongVariableFailsEveryCall(t *testing.T) {
	r := newRunner(t, nil).Run(with(newJob("true"), "BIG", strings.Repeat("x", 128<<10)))
	outcome(t, r, fakerunner.SystemFailure)
	for _, c := range r.Calls {
		if c.PID != 0 || !strings.Contains(c.Failure, "argument list too long") {
			t.Errorf("%s: pid %d, %s; want E2BIG", c.Stage, c.PID, c.Failure)
		}
	}
	if len(r.Calls) != 6 {
		t.Errorf("calls %v, want three tries with cleanup", r.Stages())
	}
}

func TestResponseFile(t *testing.T) {
	j := newJob("true")
	j.ScopedUserID = 0
	j.AfterScript = []string{"date"}
	j = with(j, "GIT_DEPTH", "3")
	r := newRunner(t, on{"cleanup": `cat "$JOB_RESPONSE_FILE"`}).Run(j)
	var got struct {
		ID      int64
		Token   string
		JobInfo map[string]any `json:"job_info"`
		GitInfo struct {
			RepoURL string `json:"repo_url"`
			Depth   int
		} `json:"git_info"`
		Inputs    map[string]any
		Variables []fakerunner.Variable
		Steps     []struct{ Name string }
	}
	if err := json.Unmarshal(call(t, r, "cleanup").Stdout, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != 4711 || got.Token != "job-token" || got.GitInfo.RepoURL != j.Git.RepoURL || got.GitInfo.Depth != 3 || len(got.Steps) != 2 {
		t.Errorf("%+v", got)
	}
	if got.JobInfo["project_full_path"] != "group/project" || got.JobInfo["user_id"] != 7.0 {
		t.Errorf("job_info %v", got.JobInfo)
	}
	if _, there := got.JobInfo["scoped_user_id"]; there {
		t.Error("scoped_user_id is there without a value")
	}
	if len(got.Variables) != len(j.Variables) || !got.Variables[1].Masked {
		t.Errorf("variables %v: want the job's own, without the runner's", got.Variables)
	}
}
