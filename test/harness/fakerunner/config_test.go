package fakerunner_test

import (
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
)

func TestConfigOutput(t *testing.T) {
	tests := []struct {
		name, output string
		outcome      fakerunner.Outcome
		calls        int
		// project is the project directory below the configured builds_dir.
		project string
	}{
		{"nothing", ``, fakerunner.Success, 6, "group/project"},
		{"an empty object", `{}`, fakerunner.Success, 6, "group/project"},
		{"white space around it", " {}\n", fakerunner.Success, 6, "group/project"},
		{"an unknown key", `{"future":[1]}`, fakerunner.Success, 6, "group/project"},
		{"a shared builds_dir", `{"builds_dir_is_shared":true}`, fakerunner.Success, 6, "t0ken/0/group/project"},
		{"text behind the value", `{} done`, fakerunner.SystemFailure, 6, ""},
		{"two values", `{}{}`, fakerunner.SystemFailure, 6, ""},
		{"a banner", "welcome\n{}", fakerunner.SystemFailure, 6, ""},
		{"colour", "\x1b[31merror", fakerunner.SystemFailure, 6, ""},
		{"only white space", "\n", fakerunner.SystemFailure, 6, ""},
		{"a wrong type", `{"job_env":{"N":1}}`, fakerunner.SystemFailure, 6, ""},
		{"an unknown shell", `{"shell":"fish"}`, fakerunner.SystemFailure, 6, ""},
		{"sh", `{"shell":"sh"}`, fakerunner.Success, 6, "group/project"},
		{"an empty builds_dir is not configured", `{"builds_dir":""}`, fakerunner.ScriptFailure, 2, ""},
		{"an empty cache_dir is not configured", `{"cache_dir":""}`, fakerunner.ScriptFailure, 2, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			runner := newRunner(t, on{"config": `printf %s "$OUTPUT"`, "run": "exit 0"})
			runner.Environ = append(runner.Environ, "OUTPUT="+tt.output)
			r := runner.Run(newJob())
			outcome(t, r, tt.outcome)
			want := tt.calls
			if tt.outcome == fakerunner.Success {
				want = 7
			}
			if len(r.Calls) != want {
				t.Errorf("%d calls %v, want %d", len(r.Calls), r.Stages(), want)
			}
			if got := strings.TrimPrefix(r.ProjectDir, runner.BuildsDir+"/"); tt.project != "" && got != tt.project {
				t.Errorf("project directory %s, want %s", got, tt.project)
			}
		})
	}
}

func TestConfigNamesTheDirectories(t *testing.T) {
	r := newRunner(t, on{
		"config": `printf '{"builds_dir":"/b","cache_dir":"/c","driver":{"name":"D","version":"9"},"hostname":"node1"}'; echo note >&2`,
		"run":    "exit 0",
	}).Run(newJob())
	if r.ProjectDir != "/b/group/project" || r.TempProjectDir != "/b/group/project.tmp" || r.CacheDir != "/c" {
		t.Errorf("directories %s %s %s", r.ProjectDir, r.TempProjectDir, r.CacheDir)
	}
	if !strings.Contains(r.Trace, "Using Custom executor with driver D 9...") || !strings.Contains(r.Trace, "note\n") {
		t.Errorf("trace:\n%s", r.Trace)
	}
	if strings.Contains(r.Trace, "builds_dir") {
		t.Errorf("config's standard output is in the trace:\n%s", r.Trace)
	}
}

func TestProjectDirectory(t *testing.T) {
	tests := []struct {
		name, url, strategy, want string
	}{
		{"the repository's path, not the project's", "https://x:y@h/sub/other.git", "none", "sub/other"},
		{"a path that climbs", "https://h/../../etc.git", "none", "project-12"},
		{"no path", "https://h/", "none", "project-12"},
		{"GIT_STRATEGY=empty", "https://h/a/b.git", "empty", "a/b-empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			runner := newRunner(t, on{"run": "exit 0"})
			j := with(newJob(), "GIT_STRATEGY", tt.strategy)
			j.Git.RepoURL = tt.url
			if got := runner.Run(j).ProjectDir; got != runner.BuildsDir+"/"+tt.want {
				t.Errorf("%s, want …/%s", got, tt.want)
			}
		})
	}
}

func TestGitClonePath(t *testing.T) {
	runner := newRunner(t, on{"run": "exit 0"})
	for _, tt := range []struct {
		allowed     bool
		path, below string // of the builds_dir, "" where it is refused
	}{
		{false, "$CI_BUILDS_DIR/x", ""},
		{true, "$CI_BUILDS_DIR/x/../y", "/y"},
		{true, "${CI_BUILDS_DIR}", "/"},
		{true, "$CI_BUILDS_DIR/../x", ""},
		{true, "/somewhere", ""},
		{true, "relative", ""},
	} {
		runner.CustomBuildDir = tt.allowed
		r := runner.Run(with(newJob(), "GIT_CLONE_PATH", tt.path))
		if tt.below != "" {
			outcome(t, r, fakerunner.Success)
			if want := filepath.Join(runner.BuildsDir, tt.below); r.ProjectDir != want {
				t.Errorf("%s: project directory %s, want %s", tt.path, r.ProjectDir, want)
			}
			continue
		}
		outcome(t, r, fakerunner.ScriptFailure)
		if got := strings.Join(r.Stages(), " "); got != "config cleanup" {
			t.Errorf("%s: stages %s, want cleanup without prepare", tt.path, got)
		}
	}
}

func TestSlots(t *testing.T) {
	runner := newRunner(t, on{"run": `[ "$2" != build_script ] || { echo ready; while [ ! -e "$GO" ]; do read -t 0.02 <> <(:); done; }`})
	flag := t.TempDir() + "/go"
	runner.Environ = append(runner.Environ, "GO="+flag)
	first, second := runner.Start(newJob()), runner.Start(newJob())
	other := newJob()
	other.Project.ID = 99
	third := runner.Start(other)
	all := []*fakerunner.Execution{first, second, third}
	for _, e := range all {
		if err := e.AwaitOutput(soon(t), "build_script", "ready"); err != nil {
			t.Fatal(err)
		}
	}
	touch(t, flag)
	want := [][2]int{{0, 0}, {1, 1}, {2, 0}}
	for i, e := range all {
		r := e.Wait()
		if got := [2]int{r.ConcurrentID, r.ConcurrentProID}; got != want[i] {
			t.Errorf("job %d has slots %v, want %v", i, got, want[i])
		}
	}
	if r := runner.Run(newJob()); r.ConcurrentID != 0 || r.ConcurrentProID != 0 {
		t.Errorf("slots %d and %d are not given back", r.ConcurrentID, r.ConcurrentProID)
	}
}
