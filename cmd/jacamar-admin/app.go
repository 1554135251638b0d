package main

import (
	"fmt"
	"slices"

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
