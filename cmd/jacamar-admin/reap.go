package main

import (
	"os"
	"os/signal"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"jacamar-ci/internal/admin"
	authadmin "jacamar-ci/internal/auth/admin"
)

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
