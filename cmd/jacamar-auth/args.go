package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

const help = `jacamar-auth authorizes a CI job and runs it as the person who triggered it;
GitLab Runner calls it for every stage.

  jacamar-auth [-u] config --configuration FILE
                   authorize the job and print the runner's configuration
  jacamar-auth [-u] prepare
                   show in the job's log where the job runs, and as which account;
                   fetch its image
  jacamar-auth [-u] run SCRIPT STAGE
                   run one script of the job
  jacamar-auth [-u] cleanup [--configuration FILE]
                   release the job's resources
  jacamar-auth reap --configuration FILE UID.PROJECT.JOB
                   clean up after a job that its runner abandoned; jacamar-admin
                   reap calls it
  jacamar-auth --version
  jacamar-auth --help

  --configuration FILE   the site's configuration
  -u, --unobfuscated     show every error to the job's user in full

Commands for administrators are in jacamar-admin.
`

// stage is the form of one stage's arguments.
type stage struct {
	name job.Stage
	// option and required: whether the stage takes --configuration, and needs it.
	option, required bool
	args             int
}

var stages = []stage{
	{job.Config, true, true, 0},
	{job.Prepare, false, false, 0},
	{job.Run, false, false, 2},
	{job.Cleanup, true, false, 0},
	{reap, true, true, 1},
}

// reap is no stage of the runner's: it is the cleanup of an abandoned job.
const reap job.Stage = "reap"

// moved are the commands that are in jacamar-admin.
var moved = []string{"check", "init", "explain", "keys"}

// parse reads a command line. execve(2) lets a caller leave out even the name.
func parse(args []string) (c command, err error) {
	if len(args) > 0 {
		args = args[1:]
	}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "--version":
			return showVersion, nil
		case "--help", "-h":
			return showHelp, nil
		case "-u", "--unobfuscated":
			c.call.Unobfuscated = true
		default:
			return c, fmt.Errorf("no such option: %q", args[0])
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return c, errors.New("a command is missing")
	}
	return c.stage(args[0], args[1:])
}

func (c command) stage(name string, args []string) (command, error) {
	i := slices.IndexFunc(stages, func(s stage) bool { return string(s.name) == name })
	switch {
	case name == "help":
		return showHelp, nil
	case i < 0 && slices.Contains(moved, name):
		return c, fmt.Errorf("jacamar-auth %s is now jacamar-admin %[1]s", name)
	case i < 0:
		return c, fmt.Errorf("no such command: %q", name)
	}
	c.call.Stage = job.Stage(name)
	rest, err := c.options(stages[i], args)
	switch {
	case err != nil || c.text != nil:
		return c, err
	case len(rest) != stages[i].args:
		return c, fmt.Errorf("%s takes %d arguments, not %d", name, stages[i].args, len(rest))
	case stages[i].required && c.call.Configuration == "":
		return c, fmt.Errorf("%s needs --configuration", name)
	case c.call.Stage == reap:
		c.call.Stage, c.call.Unobfuscated = job.Cleanup, true
		c.abandoned, err = journal.ParseKey(rest[0])
		return c, err
	case len(rest) == 2:
		c.call.Script, c.call.SubStage = rest[0], rest[1]
	}
	return c, nil
}

// options reads what follows a stage: options, up to "--" or the first argument, and
// then arguments, which may be anything.
func (c *command) options(s stage, args []string) (rest []string, err error) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name, value, joined := strings.Cut(args[0], "=")
		args = args[1:]
		switch {
		case name == "--" && !joined:
			return args, nil
		case (name == "--help" || name == "-h") && !joined:
			*c = showHelp
			return nil, nil
		case name != "--configuration" || !s.option:
			return nil, fmt.Errorf("no such option: %q", name)
		case c.call.Configuration != "":
			return nil, errors.New("--configuration is given twice")
		case !joined && len(args) == 0:
			return nil, errors.New("--configuration needs a value")
		case !joined:
			value, args = args[0], args[1:]
		}
		if value == "" {
			return nil, errors.New("--configuration needs a value")
		}
		c.call.Configuration = value
	}
	return args, nil
}
