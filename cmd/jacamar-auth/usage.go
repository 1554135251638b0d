package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func usage(format string, args ...any) error {
	return fmt.Errorf(format+" (see jacamar-auth --help)", args...)
}

// brief has an app answer every mistake with one line on standard error. The
// library would print its help on standard output, where the runner looks for
// the answer of the config stage.
func brief(a *cli.App) *cli.App {
	a.OnUsageError = oneLine
	briefAll(a.Commands)
	return a
}

func briefAll(commands []*cli.Command) {
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
		briefAll(c.Subcommands)
	}
}

// takeRequired takes it on itself to see to flags that a command cannot do
// without: for those the library has no other way than its own.
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
