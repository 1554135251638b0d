package trial

import (
	"crypto/rand"
	"regexp"
	"slices"
	"strings"

	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/job"
)

// runnerPrefix begins the short token of a trial's runner, which names its directories.
// The rest is of one trial alone: two do not share directories.
const runnerPrefix = "selftest-"

// newRunner is the short token of a trial's runner.
func newRunner() string { return runnerPrefix + strings.ToLower(rand.Text()[:8]) }

// The files of the job in the trial's directory.
const (
	responseName = "response.json"
	scriptName   = "script"
	codeName     = "exit_code"
)

// environ is a stage's environment as GitLab Runner makes it, with what is used of it.
// Source: https://docs.gitlab.com/runner/executors/custom/
func (t Trial) environ(a customexec.ConfigOutput) []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + t.Service.Home.String(), "LANG=C.UTF-8", "TMPDIR=" + t.Dir.file(""),
		"BUILD_FAILURE_EXIT_CODE=1", "SYSTEM_FAILURE_EXIT_CODE=2",
		"BUILD_EXIT_CODE_FILE=" + t.Dir.file(codeName), "JOB_RESPONSE_FILE=" + t.Dir.file(responseName),
	}
	custom := map[string]string{
		"CI_JOB_ID": t.Minted.JobID.String(), "CI_RUNNER_SHORT_TOKEN": t.Minted.runner, t.Variable: t.Minted.token.Reveal(),
	}
	if !a.BuildsDir.IsZero() {
		custom["RUNNER_TEMP_PROJECT_DIR"] = a.BuildsDir.String() + "/" + projectPath + ".tmp"
	}
	for name, value := range custom {
		env = append(env, "CUSTOM_ENV_"+name+"="+value)
	}
	for name, value := range a.JobEnv {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// script is a script as the runner writes them.
func script(lines ...string) string {
	return "#!/usr/bin/env bash\n\nset -eo pipefail\nset +o noclobber\n" + strings.Join(lines, "\n") + "\nexit 0\n"
}

// marker begins the line by which the script reports its account.
const marker = "selftest: the script ran as "

// jobLines are the lines of the job's own script: it uses the commands and the directory
// that every job needs, and runs a program that it has made.
func jobLines(builds string) []string {
	return []string{
		"cd " + job.ShellQuote(builds), // a missing one is not made, with the mode of this shell
		"mkdir -p " + projectPath,
		"cd " + projectPath,
		`printf '#!/bin/sh\nexit 0\n' >program`,
		"chmod +x program",
		"./program",
		`echo "` + marker + `$(id -un)"`,
	}
}

// ranAs finds the account in the log of the script.
func ranAs(stages []Stage) string {
	for _, s := range stages {
		if _, rest, found := strings.Cut(s.Log, marker); found {
			name, _, _ := strings.Cut(rest, "\n")
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// plain is a log without colours and without the marks of collapsed sections.
func plain(log string) string {
	log = regexp.MustCompile(`section_(start|end):[0-9]+:[^\r\n]*\r`).ReplaceAllString(log, "")
	log = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]").ReplaceAllString(log, "")
	return strings.ReplaceAll(log, "\r", "")
}
