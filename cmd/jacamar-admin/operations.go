package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"jacamar-ci/internal/admin"
	authadmin "jacamar-ci/internal/auth/admin"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

// watchPeriod is how often --watch reads the journal again.
const watchPeriod = 2 * time.Second

// operations are the commands about jobs, live and ended.
func operations(status *int) []*cli.Command {
	return []*cli.Command{
		{
			Name: "jobs", Usage: "list the jobs that live, or that ended or were refused",
			Flags: append(readerFlags(),
				&cli.BoolFlag{Name: "ended", Usage: "the ended jobs instead"},
				&cli.BoolFlag{Name: "refused", Usage: "the refused jobs instead"},
				&cli.StringFlag{Name: "account", Usage: "only jobs of the `ACCOUNT`"},
				&cli.StringFlag{Name: "project", Usage: "only jobs of the `PROJECT`, or of all below a group"},
				&cli.StringFlag{Name: "state", Usage: "only live jobs in the `STATE` " + admin.StateNames()},
				&cli.BoolFlag{Name: "watch", Usage: "print the list again every 2 seconds"}),
			Action: noArguments(reading(jobs)),
		},
		{
			Name: "show", Usage: "show all events of a job", ArgsUsage: "JOB", Flags: readerFlags(),
			Action: show,
		},
		{
			Name: "status", Usage: "sum up the jobs, and write a page, JSON and metrics",
			Flags: append(journalFlags(),
				&cli.StringFlag{Name: "json", Usage: "write everything as JSON to `FILE`"},
				&cli.StringFlag{Name: "html", Usage: "write a page to `FILE`"},
				&cli.StringFlag{Name: "metrics", Usage: "write metrics for node_exporter to `FILE`; needs --counters"},
				&cli.StringFlag{Name: "counters", Usage: "keep the counters of the metrics in `FILE`"},
				&cli.BoolFlag{Name: "public", Usage: "leave names and projects out of the page"},
				&cli.BoolFlag{Name: "check", Usage: "print what needs attention, with the exit status of a monitoring plugin"}),
			Action: noArguments(func(c *cli.Context) (err error) { *status, err = sumUp(c); return err }),
		},
		{
			Name: "drain", Usage: "keep new jobs out; those that run are not touched",
			Flags: []cli.Flag{
				site(),
				&cli.StringFlag{Name: "message", Usage: "the `TEXT` that users read"},
				&cli.DurationFlag{Name: "until", Usage: "end the drain after `TIME`, at most 336h", Value: 12 * time.Hour},
				&cli.DurationFlag{Name: "hold", Usage: "let a job wait up to `TIME` before it is refused, at most 55m"},
				&cli.StringFlag{Name: "account", Usage: "only jobs of the `ACCOUNT`"},
				&cli.StringFlag{Name: "project", Usage: "only jobs of the project with the number `ID`"},
				&cli.StringSliceFlag{Name: "allow", Usage: "not the jobs of the `ACCOUNT`; can be repeated"},
				&cli.BoolFlag{Name: "wait", Usage: "return when no job lives"},
			},
			Action: noArguments(onJournal(drain)),
		},
		{
			Name: "resume", Usage: "end a drain",
			Flags: []cli.Flag{
				site(),
				&cli.StringFlag{Name: "account", Usage: "that of the `ACCOUNT`"},
				&cli.StringFlag{Name: "project", Usage: "that of the project with the number `ID`"},
			},
			Action: noArguments(onJournal(resume)),
		},
		{
			Name: "stop", Usage: "end jobs as a cancel in GitLab does", ArgsUsage: "JOB...",
			Flags: []cli.Flag{
				site(),
				&cli.StringFlag{Name: "account", Usage: "all jobs of the `ACCOUNT`"},
				&cli.StringFlag{Name: "message", Usage: "the `TEXT` that the user reads"},
			},
			Action: stop,
		},
		{
			Name: "reap", Usage: "clean up after jobs that their runner abandoned, and stop those that are overdue",
			Flags: []cli.Flag{
				site(),
				&cli.DurationFlag{Name: "older", Usage: "only jobs to which nothing has happened for `TIME`"},
				&cli.BoolFlag{Name: "dry-run", Usage: "print what would be done"},
				&cli.StringSliceFlag{Name: "give-up", Usage: "instead, end the record of the abandoned `JOB` without a clean-up, and print what it may have left; can be repeated"},
				&cli.StringFlag{Name: "host", Usage: "with --give-up, the former `HOST` of the job"},
			},
			Action: noArguments(onJournal(func(c *cli.Context, j authadmin.Journal) (err error) { *status, err = reap(c, j); return err })),
		},
	}
}

// site names the configuration by its usual place, so that a command is short.
func site() cli.Flag {
	return &cli.StringFlag{Name: "configuration", Usage: "the site's configuration `FILE`", Value: authadmin.UsualConfiguration}
}

// readerFlags are those of the commands that print jobs.
func readerFlags() []cli.Flag {
	return append(journalFlags(), &cli.BoolFlag{Name: "json", Usage: "print JSON"})
}

// journalFlags choose what is read.
func journalFlags() []cli.Flag { return periodFlags(24 * time.Hour) }

// periodFlags choose what is read, by default of a period.
func periodFlags(since time.Duration) []cli.Flag {
	return []cli.Flag{
		site(),
		&cli.StringSliceFlag{Name: "journal", Usage: "read the journal `DIRECTORY` instead; can be repeated"},
		&cli.DurationFlag{Name: "since", Usage: "of ended jobs, those of the last `TIME`", Value: since},
	}
}

func noArguments(do func(*cli.Context) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() != 0 {
			return usage("%s takes no arguments", c.Command.Name)
		}
		return do(c)
	}
}

// journals are those of the command line, or that of the configuration.
func journals(c *cli.Context) (admin.Journals, error) {
	if dirs := c.StringSlice("journal"); len(dirs) > 0 {
		return admin.ParseJournals(dirs)
	}
	j, err := authadmin.OpenJournal(c.Context, c.String("configuration"))
	return admin.Journals{j.Dir}, err
}

// reading is the action of a command that reads journals.
func reading(do func(*cli.Context, admin.Journals) error) func(*cli.Context) error {
	return func(c *cli.Context) error {
		js, err := journals(c)
		if err != nil {
			return err
		}
		return do(c, js)
	}
}

// onJournal is the action of a command about the journal of the configuration.
func onJournal(do func(*cli.Context, authadmin.Journal) error) func(*cli.Context) error {
	return func(c *cli.Context) error {
		j, err := authadmin.OpenJournal(c.Context, c.String("configuration"))
		if err != nil {
			return err
		}
		return do(c, j)
	}
}

func jobs(c *cli.Context, js admin.Journals) error {
	o := admin.JobsOptions{
		Journals: js, Ended: c.Bool("ended"), Refused: c.Bool("refused"), JSON: c.Bool("json"),
		Filter: admin.Filter{Account: c.String("account"), Project: c.String("project"), State: c.String("state"), Since: c.Duration("since")},
	}
	if !c.Bool("watch") {
		return admin.Jobs(os.Stdout, o, time.Now())
	}
	ctx, end := signal.NotifyContext(c.Context, unix.SIGINT, unix.SIGTERM)
	defer end()
	return admin.Watch(ctx, os.Stdout, o, watchPeriod)
}

func show(c *cli.Context) error {
	if err := optionsFirst(c); err != nil {
		return err
	}
	if c.NArg() != 1 {
		return usage("show takes the number of one job")
	}
	id, err := job.ParseID(c.Args().First())
	if err != nil {
		return usage("show: %w", err)
	}
	js, err := journals(c)
	if err != nil {
		return err
	}
	return admin.Show(os.Stdout, js, id, c.Duration("since"), c.Bool("json"), time.Now())
}

func sumUp(c *cli.Context) (int, error) {
	if (c.String("metrics") == "") != (c.String("counters") == "") {
		return 0, usage("status needs --metrics and --counters together")
	}
	js, err := journals(c)
	if err != nil {
		return admin.Unknown, err
	}
	s, err := admin.Status(admin.StatusOptions{
		Journals: js, HTML: c.String("html"), JSON: c.String("json"), Metrics: c.String("metrics"), Counters: c.String("counters"), Public: c.Bool("public"), Since: c.Duration("since"),
	}, time.Now())
	switch {
	case err != nil:
		return admin.Unknown, err
	case c.Bool("check"):
		return admin.Attention(os.Stdout, s)
	case c.String("html") != "" || c.String("json") != "" || c.String("metrics") != "":
		return 0, nil
	}
	return 0, admin.Summary(os.Stdout, s)
}

// drained is the mark that a command line names.
func drained(c *cli.Context, j authadmin.Journal) (journal.MarkName, error) {
	account, project := c.String("account"), c.String("project")
	switch {
	case account != "" && project != "":
		return "", usage("%s takes --account or --project, not both", c.Command.Name)
	case account != "":
		uid, err := j.Account(c.Context, account)
		return journal.DrainAccount(uid), err
	case project != "":
		id, err := job.ParseID(project)
		if err != nil {
			return "", fmt.Errorf("--project: %w", err)
		}
		return journal.DrainProject(id), nil
	}
	return journal.Drain, nil
}

func drain(c *cli.Context, j authadmin.Journal) (err error) {
	o := admin.DrainOptions{Journal: j.Dir, Message: c.String("message"), Until: c.Duration("until"), Hold: c.Duration("hold")}
	if o.Name, err = drained(c, j); err != nil {
		return err
	}
	for _, name := range c.StringSlice("allow") {
		uid, err := j.Account(c.Context, name)
		if err != nil {
			return err
		}
		o.Allow = append(o.Allow, uid)
	}
	if err := j.AsOwner(func() error { return admin.SetDrain(os.Stdout, o, time.Now()) }); err != nil || !c.Bool("wait") {
		return err
	}
	ctx, end := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer end()
	return admin.AwaitIdle(ctx, j.Dir)
}

func resume(c *cli.Context, j authadmin.Journal) error {
	name, err := drained(c, j)
	if err != nil {
		return err
	}
	return j.AsOwner(func() error { return admin.Resume(os.Stdout, j.Dir, name) })
}

// optionsFirst refuses an option behind an argument, which the library takes for one.
func optionsFirst(c *cli.Context) error {
	for _, a := range c.Args().Slice() {
		if strings.HasPrefix(a, "-") {
			return usage("%s: write options before the numbers of jobs: %q", c.Command.Name, a)
		}
	}
	return nil
}

func stop(c *cli.Context) error {
	if err := optionsFirst(c); err != nil {
		return err
	}
	if (c.NArg() == 0) == (c.String("account") == "") {
		return usage("stop takes the numbers of jobs, or --account")
	}
	ids, err := jobIDs(c, c.Args().Slice())
	if err != nil {
		return err
	}
	j, err := authadmin.OpenJournal(c.Context, c.String("configuration"))
	if err != nil {
		return err
	}
	o := admin.StopOptions{Journal: j.Dir, Program: j.Program, AsOwner: j.AsOwner, Jobs: ids, Message: c.String("message")}
	if account := c.String("account"); account != "" {
		uid, err := j.Account(c.Context, account)
		if err != nil {
			return err
		}
		o.Account = &uid
	}
	return admin.Stop(os.Stdout, o, time.Now())
}

// unsettledStatus is the exit status where a job could not be settled.
const unsettledStatus = 1

func reap(c *cli.Context, j authadmin.Journal) (int, error) {
	if jobs := c.StringSlice("give-up"); len(jobs) > 0 {
		return 0, giveUp(c, j, jobs)
	}
	if c.String("host") != "" {
		return 0, usage("reap takes --host with --give-up alone")
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

func giveUp(c *cli.Context, j authadmin.Journal, jobs []string) error {
	ids, err := jobIDs(c, jobs)
	if err != nil {
		return err
	}
	o := admin.GiveUpOptions{Journal: j.Dir, Host: c.String("host"), Jobs: ids}
	return j.AsOwner(func() error { return admin.GiveUp(os.Stdout, o, time.Now()) })
}

// jobIDs are the numbers of jobs that a command line names.
func jobIDs(c *cli.Context, texts []string) (ids []job.ID, err error) {
	for _, text := range texts {
		id, err := job.ParseID(text)
		if err != nil {
			return nil, usage("%s: %q is not the number of a job", c.Command.Name, strings.ToValidUTF8(text, "?"))
		}
		ids = append(ids, id)
	}
	return ids, nil
}
