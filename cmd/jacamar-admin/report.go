package main

import (
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"jacamar-ci/internal/admin"
)

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
