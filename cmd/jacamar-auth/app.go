package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/version"
)

// app is the command line. No flag reads the environment: the runner's
// environment is shaped by the job's author.
func app(status *int) *cli.App {
	return &cli.App{
		Name:  "jacamar-auth",
		Usage: "authorize a CI job and run it as the person who triggered it",
		// The library would exit by itself for some errors, past what main has to do.
		ExitErrHandler:  func(*cli.Context, error) {},
		HideHelpCommand: true,
		HideVersion:     true,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "unobfuscated", Aliases: []string{"u"}, Usage: "show every error to the job's user in full"},
			&cli.BoolFlag{Name: "version", Usage: "print the version"},
		},
		Action: func(c *cli.Context) error {
			if c.Bool("version") {
				_, err := fmt.Fprint(c.App.Writer, version.Text())
				return err
			}
			if !c.Args().Present() {
				return usage("a command is missing")
			}
			return usage("no such command: %q", c.Args().First())
		},
		Commands: append([]*cli.Command{
			stage(status, job.Config, "", "authorize the job and answer the runner", configuration()),
			stage(status, job.Prepare, "", "greet the job"),
			stage(status, job.Run, "SCRIPT STAGE", "run one script of the job"),
			stage(status, job.Cleanup, "", "give up what the job held", configuration()),
		}, administration(status)...),
	}
}

func stage(status *int, name job.Stage, args, what string, flags ...cli.Flag) *cli.Command {
	wanted := 0
	if args != "" {
		wanted = 2
	}
	return &cli.Command{
		Name: string(name), Usage: what, ArgsUsage: args, Flags: flags,
		Action: func(c *cli.Context) error {
			if c.NArg() != wanted {
				return usage("%s takes %d arguments, not %d", name, wanted, c.NArg())
			}
			*status = auth.Main(driver.Call{
				Stage: name, Configuration: c.String("configuration"), Script: c.Args().Get(0), SubStage: c.Args().Get(1),
				Unobfuscated: c.Bool("unobfuscated"),
			})
			return nil
		},
	}
}

func configuration() cli.Flag {
	return &cli.StringFlag{Name: "configuration", Usage: "the site's configuration `FILE`", Required: true}
}
