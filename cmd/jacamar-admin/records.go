package main

import (
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

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

func reportCommand() *cli.Command {
	return &cli.Command{
		Name: "report", Usage: "sum up what ended jobs have used",
		Flags: append(periodFlags(month),
			&cli.StringFlag{Name: "by", Usage: "sum up by `COLUMNS`, some of account, project, namespace, rule, exit and executor", Value: "account"},
			&cli.BoolFlag{Name: "csv", Usage: "print CSV, with figures in seconds and bytes"}),
		Action: noArguments(func(c *cli.Context) error {
			js, err := journals(c)
			if err != nil {
				return err
			}
			o := admin.ReportOptions{Journals: js, By: strings.Split(c.String("by"), ","), Since: c.Duration("since"), CSV: c.Bool("csv")}
			return admin.Report(os.Stdout, o, time.Now())
		}),
	}
}

func traceCommand() *cli.Command {
	return &cli.Command{
		Name: "trace", Usage: "print ended jobs as traces, one OTLP/JSON object in each line",
		Flags: periodFlags(time.Hour),
		Action: noArguments(func(c *cli.Context) error {
			js, err := journals(c)
			if err != nil {
				return err
			}
			return admin.Trace(os.Stdout, js, c.Duration("since"), time.Now())
		}),
	}
}

func reapCommand(status *int) *cli.Command {
	return &cli.Command{
		Name: "reap", Usage: "clean up after jobs that their runner abandoned, and stop those that are overdue",
		Flags: []cli.Flag{
			site(),
			&cli.DurationFlag{Name: "older", Usage: "only jobs to which nothing has happened for `TIME`"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print what would be done"},
		},
		Action: noArguments(func(c *cli.Context) (err error) { *status, err = reap(c); return err }),
	}
}

// unsettledStatus is the exit status where a job could not be settled.
const unsettledStatus = 1

func reap(c *cli.Context) (int, error) {
	j, err := authadmin.OpenJournal(c.Context, c.String("configuration"))
	if err != nil {
		return 0, err
	}
	cleanUp, err := j.Reaper(c.Context)
	if err != nil {
		return 0, err
	}
	ctx, end := signal.NotifyContext(c.Context, unix.SIGINT, unix.SIGTERM)
	defer end()
	o := admin.ReapOptions{
		Stop:  admin.StopOptions{Journal: j.Dir, Program: j.Program, AsOwner: j.AsOwner},
		Older: c.Duration("older"), DryRun: c.Bool("dry-run"), KillTimeout: j.KillTimeout(),
		CleanUp: cleanUp,
	}
	unsettled, err := admin.Reap(ctx, os.Stdout, o, time.Now())
	if err == nil && unsettled > 0 {
		return unsettledStatus, nil
	}
	return 0, err
}
