package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"jacamar-ci/internal/version"
)

// app is the command line. No flag reads the environment.
func app(status *int) *cli.App {
	return &cli.App{
		Name:  "jacamar-admin",
		Usage: "check and manage an installation of Jacamar CI",
		// The library would exit by itself for some errors.
		ExitErrHandler:  func(*cli.Context, error) {},
		HideHelpCommand: true,
		HideVersion:     true,
		Flags:           []cli.Flag{&cli.BoolFlag{Name: "version", Usage: "print the version"}},
		Action: func(c *cli.Context) error {
			if c.Bool("version") {
				_, err := fmt.Fprint(c.App.Writer, version.Text())
				return err
			}
			if c.Args().First() == "help" {
				return cli.ShowAppHelp(c)
			}
			if !c.Args().Present() {
				return usage("a command is missing")
			}
			return usage("no such command: %q", c.Args().First())
		},
		Commands: slices.Concat(installation(status), operations(status), recordCommands()),
	}
}

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
		c.Before = needs(c.Name, takeRequired(c.Flags))
		oneLineCommands(c.Subcommands)
	}
}

// oneLine words an error of the library's parser as the rest of this program does.
func oneLine(c *cli.Context, err error, _ bool) error {
	text := err.Error()
	if name, found := strings.CutPrefix(text, "flag provided but not defined: -"); found {
		text = "no such option: --" + strings.TrimLeft(name, "-")
	}
	if name, found := strings.CutPrefix(text, "flag needs an argument: -"); found {
		text = "--" + strings.TrimLeft(name, "-") + " needs a value"
	}
	return fmt.Errorf("%s (see %s --help)", text, place(c))
}

// place is the command whose help describes an option.
func place(c *cli.Context) string {
	if c == nil || c.Command == nil || c.Command.HelpName == "" {
		return "jacamar-admin"
	}
	return c.Command.HelpName
}

// needs refuses a call without one of the flags.
func needs(name string, required []*cli.StringFlag) cli.BeforeFunc {
	return func(ctx *cli.Context) error {
		for _, f := range required {
			if ctx.String(f.Name) == "" {
				return usage("%s needs --%s", name, f.Name)
			}
		}
		return nil
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
