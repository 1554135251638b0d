package executor

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/handoff"
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

// NewShell builds the login environment: from the account database, never from
// a caller's environment.
func NewShell(b handoff.Brief) Shell {
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
		"JACAMAR_CI_STAGE=" + stageName(b),
	}
	env = replace(replace(env, b.Settings.Login), b.Settings.BashEnv)
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

func stageName(b handoff.Brief) string {
	if b.SubStage != "" {
		return string(b.SubStage)
	}
	return string(b.Stage)
}

// Descriptors of the login shell beside 0 to 2.
const (
	scriptFD = 3 // the script, read from its start
	marchFD  = 4 // takes one byte when the profiles are done
)

// login is what the login shell executes after its profiles. It becomes a fresh
// shell, so that no logout file runs at the end and no option, trap or function
// of a profile changes what the script does; the byte tells that the profiles
// let it come this far.
func login(shell string) string {
	quoted := "'" + strings.ReplaceAll(shell, "'", `'\''`) + "'"
	return fmt.Sprintf("printf . >&%d && exec %s 0<&%d %d<&- %d>&-", marchFD, quoted, scriptFD, scriptFD, marchFD)
}

// argv returns the shell's arguments; without profiles, the script's shell is
// started directly and reads the script as its input.
func (s Shell) argv(profiles bool) []string {
	if profiles {
		return []string{"bash", "--login", "-c", login(s.Path)}
	}
	return []string{"bash"}
}

// inMemory puts the script into a file without a name, at its start. A shell
// reads a file in blocks, where it would read a pipe byte by byte, and nothing
// is left on a disk.
func inMemory(script []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("script", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot hold the script in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), "script")
	if _, err := file.Write(script); err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot hold the script in memory: %w", err)
	}
	if _, err := file.Seek(0, 0); err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot hold the script in memory: %w", err)
	}
	return file, nil
}
