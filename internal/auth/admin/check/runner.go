package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"jacamar-ci/internal/auth/admin/setup"
	"jacamar-ci/internal/job"
)

// runnerConfig judges the runner's own file: whether it calls jacamar-auth as it must be
// called, and who can read the runner's token.
func runnerConfig(_ context.Context, s Site) []Line {
	j := runnerJudge{s, s.RunnerConfig, true}
	if j.file == "" {
		j.file, j.named = setup.UsualRunnerConfig, false
	}
	info, err := os.Stat(j.file)
	if err != nil {
		return j.missing(err)
	}
	lines := tokenReaders(j.file, info.Mode())
	text, err := os.ReadFile(j.file)
	if err != nil {
		return append(lines, warn("run this check as root", "cannot read the runner's configuration: %v", err))
	}
	return append(lines, j.text(string(text), len(lines) == 0)...)
}

// missing judges a file that is not found. The usual one of another runner is elsewhere, or
// not this account's to read.
func (j runnerJudge) missing(err error) []Line {
	if !j.named && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
		return nil
	}
	return []Line{fail("name the runner's config.toml by --runner-config", "%v", err)}
}

// text judges what the file contains; well is set where nothing else is wrong with it.
func (j runnerJudge) text(text string, well bool) []Line {
	var c runnerFile
	if _, err := toml.Decode(text, &c); err != nil {
		return []Line{fail("correct it, as the runner reports it", "%s: %v", j.file, err)}
	}
	lines := j.judge(c)
	if len(lines) == 0 && well && j.concerned(c) {
		return []Line{ok("%s calls %s in every stage", j.file, j.Auth)}
	}
	return lines
}

// tokenReaders reports a file that any account can read.
func tokenReaders(file string, mode fs.FileMode) []Line {
	if mode.Perm()&0o004 == 0 {
		return nil
	}
	return []Line{warn("run: chmod o-r "+file, "any account can read the runner's token in %s (mode %04o)", file, mode.Perm())}
}

// runnerFile is what the check reads of the runner's config.toml. Times are in seconds.
// Source: https://docs.gitlab.com/runner/configuration/advanced-configuration/
type runnerFile struct {
	ShutdownTimeout int           `toml:"shutdown_timeout"`
	Runners         []runnerTable `toml:"runners"`
}

type runnerTable struct {
	Name     string         `toml:"name"`
	Executor string         `toml:"executor"`
	Custom   map[string]any `toml:"custom"`
}

// defaultShutdown and defaultGrace are the runner's own defaults.
const (
	defaultShutdown = 30 * time.Second
	defaultGrace    = 10 * time.Minute
)

// stages are the calls of [runners.custom].
var stages = []string{"config", "prepare", "run", "cleanup"}

// exec is the program of a stage, and args its arguments.
func (r runnerTable) exec(stage string) string {
	text, _ := r.Custom[stage+"_exec"].(string)
	return text
}

func (r runnerTable) args(stage string) (args []string) {
	list, _ := r.Custom[stage+"_args"].([]any)
	for _, a := range list {
		args = append(args, fmt.Sprint(a))
	}
	return args
}

// seconds is a duration of [runners.custom], or its default.
func (r runnerTable) seconds(key string, otherwise time.Duration) time.Duration {
	n, given := r.Custom[key].(int64)
	if !given {
		return otherwise
	}
	return time.Duration(n) * time.Second
}

// calls reports whether a stage runs a program of Jacamar.
func (r runnerTable) calls() bool {
	return slices.ContainsFunc(stages, func(stage string) bool {
		return strings.HasPrefix(path.Base(r.exec(stage)), "jacamar")
	})
}

// runnerJudge judges a runner's file for a site.
type runnerJudge struct {
	Site
	file string
	// named is set where the administrator named the file.
	named bool
}

// ours reports whether a runner is of this installation, and not of another one.
func (j runnerJudge) ours(r runnerTable) bool {
	if j.named {
		return r.calls()
	}
	return slices.ContainsFunc(stages, func(stage string) bool {
		return r.exec(stage) == j.Auth.String() || slices.Contains(r.args(stage), j.File.String())
	})
}

func (j runnerJudge) concerned(c runnerFile) bool { return slices.ContainsFunc(c.Runners, j.ours) }

func (j runnerJudge) judge(c runnerFile) (lines []Line) {
	if !j.concerned(c) {
		return j.none(c)
	}
	for _, r := range c.Runners {
		if j.ours(r) {
			lines = append(lines, j.runner(r)...)
		} else {
			lines = append(lines, j.others(r)...)
		}
	}
	return append(lines, j.shutdown(c)...)
}

// none judges a file of which no runner calls this jacamar-auth. Another file may have the
// one that does, so the usual one is a finding only where its runners would run jobs by
// themselves.
func (j runnerJudge) none(c runnerFile) []Line {
	if !j.named && !slices.ContainsFunc(c.Runners, runsShell) {
		return nil
	}
	return []Line{warn(j.wire(""), "no runner of %s calls %s", j.file, j.Auth)}
}

func runsShell(r runnerTable) bool { return r.Executor == "shell" }

// others judges another runner of the same service.
func (j runnerJudge) others(r runnerTable) []Line {
	if !runsShell(r) {
		return nil
	}
	return []Line{warn("give that runner a service with an account of its own, or "+j.wire(r.Name),
		"the runner %q of %s has executor = \"shell\": its jobs run as the account of the runner's service, without Jacamar", r.Name, j.file)}
}

// wire is the command that writes the calls.
func (j runnerJudge) wire(name string) string {
	command := fmt.Sprintf("run: %s init --wire --configuration %s --runner-config %s", j.adminProgram(), j.File, j.file)
	if name != "" {
		command += " --runner " + job.ShellQuote(name)
	}
	return command
}

func (j runnerJudge) runner(r runnerTable) (lines []Line) {
	if r.Executor != "custom" {
		lines = append(lines, fail(j.wire(r.Name),
			"the runner %q of %s has executor = %q: its jobs run as the account of the runner's service, without Jacamar", r.Name, j.file, r.Executor))
	}
	for _, stage := range stages {
		if problem := j.stage(r, stage); problem != "" {
			lines = append(lines, fail(j.wire(r.Name), "the runner %q of %s: %s", r.Name, j.file, problem))
		}
	}
	if file, _ := configurationIn(r.args("config")); file != "" && file != j.File.String() {
		lines = append(lines, warn("check that file: jacamar-admin check --configuration "+file, "the runner %q of %s uses the configuration %s, and this check judged %s", r.Name, j.file, file, j.File))
	}
	return append(lines, j.times(r)...)
}

// stage returns what is wrong with the call of a stage, "" for nothing. Options before
// and after the stage are those of jacamar-auth.
func (j runnerJudge) stage(r runnerTable, stage string) string {
	exec, args := r.exec(stage), r.args(stage)
	switch {
	case exec == "":
		return fmt.Sprintf("%s_exec is missing", stage)
	case path.Base(exec) == "jacamar":
		return withoutAuth(exec, stage, args)
	case exec != j.Auth.String():
		return fmt.Sprintf("%s_exec is %q, not %s", stage, exec, j.Auth)
	}
	for len(args) > 0 && (args[0] == "-u" || args[0] == "--unobfuscated") {
		args = args[1:]
	}
	if len(args) == 0 || args[0] != stage {
		return fmt.Sprintf("%s_args is %q, and must name the stage %s", stage, r.args(stage), stage)
	}
	return wrongOptions(stage, args[1:])
}

// withoutAuth judges a call of jacamar itself, which takes jobs with --no-auth only.
func withoutAuth(exec, stage string, args []string) string {
	if slices.Contains(args, "--no-auth") {
		return ""
	}
	return fmt.Sprintf("%s_exec is %q, which only jacamar-auth starts: name jacamar-auth", stage, exec)
}

func wrongOptions(stage string, rest []string) string {
	const excess = "%s_args has %q behind the stage, not %s"
	file, words := configurationIn(rest)
	switch configured := stage == "config" || stage == "cleanup"; {
	case !configured && len(rest) > 0:
		return fmt.Sprintf(excess, stage, rest, "nothing")
	case configured && len(rest) == 0:
		return fmt.Sprintf("%s_args lacks --configuration", stage)
	case configured && (len(rest) != words || !strings.HasPrefix(file, "/")):
		return fmt.Sprintf(excess, stage, rest, `"--configuration" and an absolute path`)
	}
	return ""
}

// configurationIn is the file that arguments name, and in how many of them.
func configurationIn(args []string) (file string, words int) {
	for i, a := range args {
		if value, joined := strings.CutPrefix(a, "--configuration="); joined {
			return value, 1
		}
		if a == "--configuration" && i+1 < len(args) {
			return args[i+1], 2
		}
	}
	return "", 0
}

// leastStage is how long a stage without a script may take where name services and the
// file system are slow.
const leastStage = time.Minute

// times compares the runner's timeouts with what a stage may take.
func (j runnerJudge) times(r runnerTable) (lines []Line) {
	kill := j.killTimeout()
	least := map[string]time.Duration{"config_exec_timeout": leastStage, "prepare_exec_timeout": leastStage, "cleanup_exec_timeout": kill}
	for _, key := range []string{"config_exec_timeout", "prepare_exec_timeout", "cleanup_exec_timeout"} {
		if have := r.seconds(key, time.Hour); have < least[key] {
			lines = append(lines, warn(fmt.Sprintf("set %s = %d or more, or remove it", key, int(least[key].Seconds())),
				"the runner %q of %s has %s = %d: the runner ends stages that are only slow", r.Name, j.file, key, int(have.Seconds())))
		}
	}
	if have := r.seconds("graceful_kill_timeout", defaultGrace); have <= kill {
		lines = append(lines, warn(fmt.Sprintf("set graceful_kill_timeout = %d, or remove it", int((kill+setup.Margin).Seconds())),
			"the runner %q of %s has graceful_kill_timeout = %d, and a job may take kill_timeout (%s) to end: the runner kills it before its batch job is canceled",
			r.Name, j.file, int(have.Seconds()), kill))
	}
	return lines
}

// shutdown is the same for the end of the runner itself.
func (j runnerJudge) shutdown(c runnerFile) []Line {
	have := time.Duration(c.ShutdownTimeout) * time.Second
	if c.ShutdownTimeout == 0 {
		have = defaultShutdown
	}
	kill := j.killTimeout()
	if have > kill {
		return nil
	}
	return []Line{warn(fmt.Sprintf("set shutdown_timeout = %d at its top", int((kill+setup.Margin).Seconds())),
		"%s has a shutdown_timeout of %s, and a job may take kill_timeout (%s) to end: a runner that is stopped leaves it running", j.file, have, kill)}
}

// killTimeout is that of the configuration, or the default where it cannot be used.
func (j runnerJudge) killTimeout() time.Duration {
	if j.Config == nil {
		return setup.KillTimeout
	}
	return j.Config.General.KillTimeout
}
