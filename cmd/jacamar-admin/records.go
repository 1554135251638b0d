package main

import (
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"jacamar-ci/internal/admin"
	authadmin "jacamar-ci/internal/auth/admin"
	"jacamar-ci/internal/job"
)

// month is the usual period of the commands that sum up.
const month = 30 * 24 * time.Hour

// recordCommands are those about what the journal has of past jobs.
func recordCommands() []*cli.Command {
	return []*cli.Command{
		{
			Name: "projects", Usage: "show the last success and the last failure of each project",
			Flags:  append(periodFlags(month), &cli.BoolFlag{Name: "json", Usage: "print JSON"}),
			Action: noArguments(overPeriod(admin.Projects)),
		},
		{
			Name: "du", Usage: "show the last known size of build directories by account and project",
			Flags:  append(periodFlags(month), &cli.BoolFlag{Name: "json", Usage: "print JSON"}),
			Action: noArguments(overPeriod(admin.DU)),
		},
		{
			Name: "digest", Usage: "write one accounting line a job of the days before today, without names", Flags: []cli.Flag{site()},
			Action: noArguments(func(c *cli.Context) error {
				j, err := authadmin.OpenJournal(c.Context, c.String("configuration"))
				if err != nil {
					return err
				}
				return j.AsOwner(func() error { return admin.Digest(os.Stdout, j.Dir, time.Now()) })
			}),
		},
		{
			Name: "forget", Usage: "remove the ended and refused jobs of an account from the journal",
			Flags:  []cli.Flag{site(), &cli.StringFlag{Name: "account", Usage: "the `ACCOUNT`", Required: true}},
			Action: noArguments(forget),
		},
	}
}

// overPeriod is the action of a command that reads the jobs of a period.
func overPeriod(do func(w io.Writer, js admin.Journals, since time.Duration, asJSON bool, now time.Time) error) func(*cli.Context) error {
	return func(c *cli.Context) error {
		js, err := journals(c)
		if err != nil {
			return err
		}
		return do(os.Stdout, js, c.Duration("since"), c.Bool("json"), time.Now())
	}
}

func forget(c *cli.Context) error {
	account, err := job.ParseUsername(c.String("account"))
	if err != nil {
		return usage("forget: %w", err)
	}
	j, err := authadmin.OpenJournal(c.Context, c.String("configuration"))
	if err != nil {
		return err
	}
	return j.AsOwner(func() error { return admin.Forget(os.Stdout, j.Dir, account) })
}
