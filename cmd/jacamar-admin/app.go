package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"jacamar-ci/internal/admin"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/version"
)

// defaultJournal is where jacamar-auth keeps its journal (auth.journal.directory).
const defaultJournal = "/var/log/jacamar/journal"

// app is the command line.
func app() *cli.App {
	return &cli.App{
		Name:           "jacamar-admin",
		Usage:          "show what Jacamar runs, for whom, and how it ended",
		ExitErrHandler: func(*cli.Context, error) {},
		HideVersion:    true,
		Flags:          []cli.Flag{&cli.BoolFlag{Name: "version", Usage: "print the version"}},
		Action: func(c *cli.Context) error {
			if c.Bool("version") {
				_, err := fmt.Fprint(c.App.Writer, version.Text())
				return err
			}
			if c.Args().Present() {
				return fmt.Errorf("no such command: %q (see jacamar-admin --help)", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{
			jobsCommand(), showCommand(), statusCommand(), drainCommand(), resumeCommand(), stopCommand(),
		},
	}
}

func journalFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "journal", Usage: "`DIRECTORY` of a journal, once for each", Value: cli.NewStringSlice(defaultJournal)}
}

func sinceFlag() cli.Flag {
	return &cli.StringFlag{Name: "since", Usage: "`TIME` to look back for ended jobs, such as 12h or 7d", Value: "1d"}
}

func jobsCommand() *cli.Command {
	return &cli.Command{
		Name: "jobs", Usage: "list live jobs, or ended or refused ones",
		Flags: []cli.Flag{
			journalFlag(), sinceFlag(),
			&cli.BoolFlag{Name: "ended", Usage: "list the ended jobs"},
			&cli.BoolFlag{Name: "refused", Usage: "list the refused jobs"},
			&cli.StringFlag{Name: "account", Usage: "only jobs of `ACCOUNT`"},
			&cli.StringFlag{Name: "project", Usage: "only jobs of `PROJECT`, or of a group's projects"},
			&cli.StringFlag{Name: "state", Usage: "only live jobs in `STATE`: running, between, quiet, ghost or overdue"},
			&cli.BoolFlag{Name: "json", Usage: "print for a program"},
			&cli.DurationFlag{Name: "watch", Usage: "print again after each `PERIOD`, such as 5s"},
		},
		Action: func(c *cli.Context) error {
			o, err := jobsOptions(c)
			if err != nil {
				return err
			}
			if period := c.Duration("watch"); period > 0 {
				return admin.Watch(c.Context, c.App.Writer, o, max(period, time.Second))
			}
			return admin.Jobs(c.App.Writer, o, time.Now())
		},
	}
}

func jobsOptions(c *cli.Context) (o admin.JobsOptions, err error) {
	if c.NArg() != 0 {
		return o, fmt.Errorf("jobs takes no arguments")
	}
	if c.Bool("ended") && c.Bool("refused") {
		return o, fmt.Errorf("give either --ended or --refused")
	}
	o = admin.JobsOptions{
		Ended: c.Bool("ended"), Refused: c.Bool("refused"), JSON: c.Bool("json"),
		Filter: admin.Filter{Account: c.String("account"), Project: c.String("project"), State: c.String("state")},
	}
	if o.Filter.Since, err = parsePeriod("since", c.String("since")); err != nil {
		return o, err
	}
	o.Journals, err = admin.ParseJournals(c.StringSlice("journal"))
	return o, err
}

// parsePeriod reads a duration of Go, or a number of days such as 7d.
func parsePeriod(flag, text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		text = days + "h"
		d, err := time.ParseDuration(text)
		if err == nil && d > 0 {
			return 24 * d, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("--%s %q is not a time: write 12h or 7d", flag, text)
	}
	return d, nil
}

func showCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "print the events of one job", ArgsUsage: "JOB",
		Flags: []cli.Flag{
			journalFlag(), &cli.StringFlag{Name: "since", Usage: "`TIME` to look back, such as 12h or 7d", Value: "30d"},
			&cli.BoolFlag{Name: "json", Usage: "print for a program"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return fmt.Errorf("show takes the number of a job")
			}
			id, err := job.ParseID(c.Args().First())
			if err != nil {
				return fmt.Errorf("show: %w", err)
			}
			since, err := parsePeriod("since", c.String("since"))
			if err != nil {
				return err
			}
			journals, err := admin.ParseJournals(c.StringSlice("journal"))
			if err != nil {
				return err
			}
			return admin.Show(c.App.Writer, journals, id, since, c.Bool("json"), time.Now())
		},
	}
}

func statusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "write the page, the JSON document and the metrics, for a timer",
		Flags: []cli.Flag{
			journalFlag(), &cli.StringFlag{Name: "since", Usage: "`TIME` to look back for ended jobs", Value: "7d"},
			&cli.StringFlag{Name: "html", Usage: "write the page to `FILE`"},
			&cli.StringFlag{Name: "json", Usage: "write the JSON document to `FILE`"},
			&cli.StringFlag{Name: "metrics", Usage: "write metrics for node_exporter's textfile collector to `FILE`"},
			&cli.StringFlag{Name: "counters", Usage: "keep the counters of the metrics in `FILE`", Value: "/var/lib/jacamar-status/counters.json"},
			&cli.BoolFlag{Name: "public", Usage: "leave names of people and projects out of the page"},
		},
		Action: func(c *cli.Context) error {
			since, err := parsePeriod("since", c.String("since"))
			if err != nil {
				return err
			}
			journals, err := admin.ParseJournals(c.StringSlice("journal"))
			if err != nil {
				return err
			}
			s, err := admin.Status(admin.StatusOptions{
				Journals: journals, HTML: c.String("html"), JSON: c.String("json"), Metrics: c.String("metrics"), Counters: c.String("counters"),
				Public: c.Bool("public"), Since: since,
			}, time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.App.Writer, "%d live, %d need attention\n", len(s.Live), len(s.Attention))
			return err
		},
	}
}
