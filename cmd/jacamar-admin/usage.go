package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func usage(format string, args ...any) error {
	return fmt.Errorf(format+" (see jacamar-admin --help)", args...)
}

// oneLineErrors makes an app answer misuse with one line on standard error. The library
// would print its help on standard output.
func oneLineErrors(a *cli.App) *cli.App {
	a.OnUsageError = oneLine
	oneLineCommands(a.Commands)
	return a
}

func oneLineCommands(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError, c.HideHelpCommand = oneLine, true
		required := takeRequired(c.Flags)
		c.Before = func(ctx *cli.Context) error {
			for _, f := range required {
				if ctx.String(f.Name) == "" {
					return usage("%s needs --%s", c.Name, f.Name)
				}
			}
			return nil
		}
		oneLineCommands(c.Subcommands)
	}
}

// takeRequired returns the flags that a command needs, for Before to check: the library
// reports a missing one in its own way only.
func takeRequired(flags []cli.Flag) (required []*cli.StringFlag) {
	for _, f := range flags {
		if s, ok := f.(*cli.StringFlag); ok && s.Required {
			s.Required = false
			required = append(required, s)
		}
	}
	return required
}

func oneLine(_ *cli.Context, err error, _ bool) error { return usage("%w", err) }
