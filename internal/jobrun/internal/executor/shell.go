package executor

import (
	"slices"
	"strings"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
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
	}
	env = replace(replace(env, b.Job.Login), b.Settings.UserBashEnv)
	return Shell{Path: path, Env: env, Home: b.Account.Home.String()}
}

// replace sets variables, each once.
func replace(env []string, by []job.Env) []string {
	for _, e := range by {
		env = slices.DeleteFunc(env, func(pair string) bool { return strings.HasPrefix(pair, e.Name()+"=") })
		env = append(env, e.String())
	}
	return env
}

func stageName(b ipc.Request) string {
	if b.SubStage != "" {
		return string(b.SubStage)
	}
	return string(b.Stage)
}
