package fakerunner_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
)

func TestScriptsShape(t *testing.T) {
	const head = "#!/usr/bin/env bash\n\ntrap 'exit 1' TERM\n\n" +
		"case \"$(set -o)\" in *\"pipefail\"*) set -o pipefail;; esac; set -o errexit\nset +o noclobber\n"
	tests := []struct {
		name string
		set  []string
		want string
	}{
		{"as the runner writes it now", nil, head + "(trap 'exit 1' TERM; eval $'BODY') < /dev/null\nexit 0\n"},
		{"the older way", []string{"FF_USE_LEGACY_BASH_EVAL", "true"}, head + ": | eval $'BODY'\nexit 0\n"},
		{"posix quotes", []string{"FF_POSIXLY_CORRECT_ESCAPES", "true"}, head + "(trap 'exit 1' TERM; eval 'BODY') < /dev/null\nexit 0\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRunner(t, on{"run": inStage("build_script", `cat "$1"`)}).Run(with(newJob("date"), tt.set...))
			got := string(call(t, r, "build_script").Stdout)
			open, shut := strings.Index(got, "; eval "), strings.LastIndex(got, "')")
			if open < 0 {
				open, shut = strings.Index(got, ": | eval "), strings.LastIndex(got, "'")
			}
			first := open + strings.Index(got[open:], "'") + 1
			if first <= 0 || shut < first {
				t.Fatalf("no body in %q", got)
			}
			if !strings.Contains(got[first:shut], "date") {
				t.Errorf("the body has no date: %q", got[first:shut])
			}
			if shape := got[:first] + "BODY" + got[shut:]; shape != tt.want {
				t.Errorf("got\n%s\nwant\n%s", shape, tt.want)
			}
		})
	}
}

func TestScriptsRun(t *testing.T) {
	tests := []struct {
		name string
		job  fakerunner.Job
		want string // in build_script's standard output
		code int
	}{
		{"exit code", newJob("exit 42"), "", 42},
		{"the first failing command ends it", newJob("echo one", "false", "echo two"), "one\n", 1},
		{"a pipeline's failure counts", newJob("false | true"), "", 1},
		{"commands are shown", newJob("echo hello"), "\x1b[32;1m$ echo hello\x1b[0;m\nhello\n", 0},
		{"several lines are collapsed", newJob("for i in 1 2; do\necho n$i\ndone"), "$ for i in 1 2; do # collapsed multi-line command\x1b[0;m\nn1\nn2\n", 0},
		{"standard input is empty", newJob("cat; echo end"), "end\n", 0},
		{"also in the older way", with(newJob("cat; echo end"), "FF_USE_LEGACY_BASH_EVAL", "true"), "end\n", 0},
		{"with exit code check", with(newJob("exit 3"), "FF_ENABLE_BASH_EXIT_CODE_CHECK", "true"), "", 3},
		{"odd values", with(newJob(`printf '[%s]' "$ODD"`), "ODD", "a'b\\c\n\td\"`$$e \xff"), "[a'b\\c\n\td\"`e \xff]", 0},
		{"odd values in posix quotes", with(newJob(`printf '[%s]' "$ODD"`), "ODD", "a'b\\c\n\td", "FF_POSIXLY_CORRECT_ESCAPES", "1"), "[a'b\\c\n\td]", 0},
		{"the working directory", newJob(`echo "${PWD##*/}"`), "project\n", 0},
		{"a variable", with(newJob("echo v=$V"), "V", "1"), "v=1\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRunner(t, nil).Run(tt.job)
			if r.ExitCode != tt.code {
				t.Errorf("exit code %d, want %d\n%s", r.ExitCode, tt.code, r.Trace)
			}
			if got := string(call(t, r, "build_script").Stdout); !strings.Contains(got, tt.want) {
				t.Errorf("output %q, want %q in it", got, tt.want)
			}
		})
	}
}

func TestScriptUnderSh(t *testing.T) {
	runner := newRunner(t, on{"config": `printf '{"shell":"sh"}'`, "run": `sh < "$1"`})
	r := runner.Run(with(newJob("echo from $0"), "FF_POSIXLY_CORRECT_ESCAPES", "true"))
	outcome(t, r, fakerunner.Success)
	if !strings.Contains(r.Trace, "from sh") {
		t.Errorf("trace:\n%s", r.Trace)
	}
}

func TestFileVariablesAndGitlabEnv(t *testing.T) {
	j := newJob(`echo "path=$F"; cat "$F"; stat -c %a "$F"`, `echo "LATER=from script" >> "$GITLAB_ENV"`)
	j.Variables = append(j.Variables, fakerunner.Variable{Key: "F", Value: "con\ntent\n", File: true})
	j.AfterScript = []string{`echo "later=$LATER"`}
	r := newRunner(t, nil).Run(j)
	outcome(t, r, fakerunner.Success)
	if want := "path=" + r.TempProjectDir + "/F\n"; !strings.Contains(r.Trace, want+"con\ntent\n") {
		t.Errorf("no %q in the trace:\n%s", want, r.Trace)
	}
	if !strings.Contains(r.Trace, "later=from script") {
		t.Errorf("GITLAB_ENV does not reach after_script:\n%s", r.Trace)
	}
}

func TestRawScript(t *testing.T) {
	j := newJob("never")
	j.Raw = map[string][]byte{"build_script": []byte("echo raw \x01\r\nexit 5"), "restore_cache": []byte("echo cache")}
	r := newRunner(t, nil).Run(j)
	if r.ExitCode != 5 || !strings.Contains(r.Trace, "raw \x01\r\n") || !strings.Contains(r.Trace, "cache\n") {
		t.Errorf("exit code %d, trace:\n%q", r.ExitCode, r.Trace)
	}
}

func TestMissingHelper(t *testing.T) {
	r := newRunner(t, nil).Run(fullJob("true"))
	outcome(t, r, fakerunner.Success)
	for _, want := range []string{
		"Missing gitlab-runner. Uploading artifacts is disabled.", "Missing gitlab-runner. Creating cache is disabled.",
		"Missing gitlab-runner. Extracting cache is disabled.", "Missing gitlab-runner. Artifacts downloading is disabled.",
	} {
		if !strings.Contains(r.Trace, want) {
			t.Errorf("no %q in the trace:\n%s", want, r.Trace)
		}
	}
}

func TestHelperIsCalled(t *testing.T) {
	bin := t.TempDir()
	helper := "#!/bin/sh\n[ \"$1\" = --version ] || { echo \"helper: $*\"; [ \"$1\" != cache-extractor ]; }\n"
	if err := os.WriteFile(filepath.Join(bin, "gitlab-runner"), []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	j := with(fullJob("true"), "PATH", bin+":/usr/bin:/bin")
	j.ServerURL = "https://gitlab.example"
	r := newRunner(t, nil).Run(j)
	outcome(t, r, fakerunner.Success)
	for _, want := range []string{
		"helper: cache-extractor --file " + r.CacheDir + "/group/project/k/cache.zip",
		"Failed to extract cache", // and the job continues
		"helper: artifacts-downloader --url https://gitlab.example --token other --id 4710",
		"helper: cache-archiver --file " + r.CacheDir + "/group/project/k/cache.zip --timeout 10 --path c --env-file " + r.TempProjectDir + "/",
		"helper: artifacts-uploader --url https://gitlab.example --token job-token --id 4711 --path a",
	} {
		want = strings.ReplaceAll(want, "job-token", "[MASKED]")
		if !strings.Contains(r.Trace, want) {
			t.Errorf("no %q in the trace:\n%s", want, r.Trace)
		}
	}
}

// gitRepo makes a repository with one commit and returns its address and commit.
func gitRepo(t *testing.T) (string, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "group", "project.git")
	script := `set -e; git init -q -b main "$0"; cd "$0"; echo content > file; git add file
git -c user.name=t -c user.email=t@t commit -q -m first; git rev-parse HEAD`
	out, err := exec.Command("bash", "-c", script, dir).Output()
	if err != nil {
		t.Fatalf("cannot make a repository: %v", err)
	}
	return "file://" + dir, strings.TrimSpace(string(out))
}

func TestGetSources(t *testing.T) {
	url, sha := gitRepo(t)
	runner := newRunner(t, nil)
	runner.PreGetSources, runner.PostGetSources = "echo before", "echo behind"
	j := with(newJob("cat file", "git rev-parse HEAD", "touch left"), "GIT_STRATEGY", "fetch")
	j.Git = fakerunner.Git{RepoURL: url, Ref: "main", SHA: sha, Refspecs: []string{"+refs/heads/main:refs/remotes/origin/main"}, Depth: 20}
	for _, round := range []string{"Created fresh repository.", "Checking out " + sha[:8]} {
		r := runner.Run(j)
		outcome(t, r, fakerunner.Success)
		for _, want := range []string{round, "before\n", "behind\n", "content\n", sha + "\n", "with git depth set to 20"} {
			if !strings.Contains(r.Trace, want) {
				t.Errorf("no %q in the trace:\n%s", want, r.Trace)
			}
		}
	}
	out, err := exec.Command("git", "-C", runner.Run(with(j, "GIT_CHECKOUT", "true")).ProjectDir, "config", "remote.origin.url").Output()
	if err != nil || strings.TrimSpace(string(out)) != url {
		t.Errorf("origin is %s (%v), want %s", out, err, url)
	}
}

func TestGetSourcesFailsOnAMissingRef(t *testing.T) {
	url, sha := gitRepo(t)
	j := with(newJob("true"), "GIT_STRATEGY", "fetch")
	j.Git = fakerunner.Git{RepoURL: url, SHA: sha, Refspecs: []string{"+refs/heads/gone:refs/remotes/origin/gone"}}
	r := newRunner(t, nil).Run(j)
	outcome(t, r, fakerunner.ScriptFailure)
	if r.ExitCode != 128 {
		t.Errorf("exit code %d, want git's 128", r.ExitCode)
	}
}
