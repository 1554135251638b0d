package executor

import (
	"slices"
	"strings"

	"jacamar-ci/internal/ipc"
)

// Shell is the bash that scripts run in, with the environment of a fresh login.
type Shell struct {
	Path string
	Env  []string
	Home string
}

// searchPath is what login(1) and sshd give to ordinary accounts; profiles
// extend it.
const searchPath = "/usr/local/bin:/usr/bin:/bin"

const bash = "/bin/bash"

// stageVariable has the name of the stage.
const stageVariable = "JACAMAR_CI_STAGE"

// Mark is the pair in the environment of a job's processes by which those are found that
// outlived both programs.
func Mark(b ipc.Request) string { return "JACAMAR_CI_JOB=" + b.Job.Runner + "/" + b.Job.ID.String() }

// NewShell builds the login environment: from the account database, never from
// a caller's environment.
func NewShell(b ipc.Request) Shell {
	path := b.Settings.ShellPath.String()
	if path == "" {
		path = bash
	}
	env := []string{
		"HOME=" + b.Account.Home.String(),
		"USER=" + b.Account.Name.String(),
		"LOGNAME=" + b.Account.Name.String(),
		"SHELL=" + b.Account.Shell.String(),
		"PATH=" + searchPath,
		"JACAMAR_CI_SHELL=true",
		stageVariable + "=" + stageName(b),
		Mark(b),
	}
	for _, e := range slices.Concat(b.Job.Login, b.Settings.UserBashEnv) {
		env = with(env, e.Name(), e.Value())
	}
	return Shell{Path: path, Env: env, Home: b.Account.Home.String()}
}

// with is the environment with one variable set.
func with(env []string, name, value string) []string {
	rest := slices.DeleteFunc(slices.Clone(env), func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
	return append(rest, name+"="+value)
}

// value is the value of a variable, "" for none.
func value(env []string, name string) string {
	for _, pair := range env {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			return v
		}
	}
	return ""
}

func stageName(b ipc.Request) string {
	if b.SubStage != "" {
		return string(b.SubStage)
	}
	return string(b.Stage)
}
