package main

import (
	"io"
	"os"
	"strings"
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
			Name: "report", Usage: "sum up what ended jobs have used",
			Flags: append(periodFlags(month),
				&cli.StringFlag{Name: "by", Usage: "sum up by `COLUMNS`, some of account, project, namespace, rule, exit and executor", Value: "account"},
				&cli.BoolFlag{Name: "csv", Usage: "print CSV, with figures in seconds and bytes"}),
			Action: noArguments(reading(func(c *cli.Context, js admin.Journals) error {
				o := admin.ReportOptions{Journals: js, By: strings.Split(c.String("by"), ","), Since: c.Duration("since"), CSV: c.Bool("csv")}
				return admin.Report(os.Stdout, o, time.Now())
			})),
		},
		{
			Name: "trace", Usage: "print ended jobs as traces, one OTLP/JSON object in each line",
			Flags: periodFlags(time.Hour),
			Action: noArguments(reading(func(c *cli.Context, js admin.Journals) error {
				return admin.Trace(os.Stdout, js, c.Duration("since"), time.Now())
			})),
		},
		{
			Name: "projects", Usage: "show the last success and the last failure of each project",
			Flags:  append(periodFlags(month), &cli.BoolFlag{Name: "json", Usage: "print JSON"}),
			Action: noArguments(reading(overPeriod(admin.Projects))),
		},
		{
			Name: "du", Usage: "show the last known size of build directories by account and project",
			Flags:  append(periodFlags(month), &cli.BoolFlag{Name: "json", Usage: "print JSON"}),
			Action: noArguments(reading(overPeriod(admin.DU))),
		},
		{
			Name: "digest", Usage: "write one accounting line a job of the days before today, without names", Flags: []cli.Flag{site()},
			Action: noArguments(onJournal(func(_ *cli.Context, j authadmin.Journal) error {
				return j.AsOwner(func() error { return admin.Digest(os.Stdout, j.Dir, time.Now()) })
			})),
		},
		{
			Name: "forget", Usage: "remove the ended and refused jobs of an account from the journal",
			Flags:  []cli.Flag{site(), &cli.StringFlag{Name: "account", Usage: "the `ACCOUNT`", Required: true}},
			Action: noArguments(forget),
		},
	}
}

// overPeriod is the action of a command that reads the jobs of a period.
func overPeriod(do func(w io.Writer, js admin.Journals, since time.Duration, asJSON bool, now time.Time) error) func(*cli.Context, admin.Journals) error {
	return func(c *cli.Context, js admin.Journals) error {
		return do(os.Stdout, js, c.Duration("since"), c.Bool("json"), time.Now())
	}
}

func forget(c *cli.Context) error {
	account, err := job.ParseUsername(c.String("account"))
	if err != nil {
		return usage("forget: %w", err)
	}
	return onJournal(func(_ *cli.Context, j authadmin.Journal) error {
		return j.AsOwner(func() error { return admin.Forget(os.Stdout, j.Dir, account) })
	})(c)
}
