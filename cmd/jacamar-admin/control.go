package main

import (
	"fmt"
	"os/user"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"jacamar-ci/internal/admin"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

// oneJournal is the flag of commands that write: they are for one journal.
func oneJournal() cli.Flag {
	return &cli.StringFlag{Name: "journal", Usage: "`DIRECTORY` of the journal", Value: defaultJournal}
}

func theJournal(c *cli.Context) (job.AbsPath, error) {
	js, err := admin.ParseJournals([]string{c.String("journal")})
	if err != nil {
		return job.AbsPath{}, err
	}
	return js[0], nil
}

func markFlags() []cli.Flag {
	return []cli.Flag{
		oneJournal(),
		&cli.StringFlag{Name: "account", Usage: "only for the jobs of `ACCOUNT`"},
		&cli.StringFlag{Name: "project", Usage: "only for the jobs of the project with the number `ID`"},
	}
}

// markName is the mark that the flags --account and --project choose.
func markName(c *cli.Context) (journal.MarkName, error) {
	account, project := c.String("account"), c.String("project")
	switch {
	case account != "" && project != "":
		return "", fmt.Errorf("give either --account or --project")
	case account != "":
		uid, err := uidOf(account)
		return journal.DrainAccount(uid), err
	case project != "":
		id, err := job.ParseID(project)
		return journal.DrainProject(id), err
	}
	return journal.Drain, nil
}

// uidOf accepts the name of an account or its number.
func uidOf(account string) (job.UID, error) {
	text := account
	if u, err := user.Lookup(account); err == nil {
		text = u.Uid
	}
	uid, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("there is no account %q on this machine: its number will do", job.Clip(account))
	}
	return job.UID(uid), nil
}

func drainCommand() *cli.Command {
	return &cli.Command{
		Name: "drain", Usage: "keep new jobs out, with a message for their users",
		Flags: append(markFlags(),
			&cli.StringFlag{Name: "message", Usage: "`TEXT` that users read"},
			&cli.StringFlag{Name: "until", Usage: "end the drain by itself after `TIME`, at most 14d", Value: "12h"},
			&cli.StringFlag{Name: "hold", Usage: "let a job wait for `TIME` before it is refused", Value: "0s"},
			&cli.StringSliceFlag{Name: "allow", Usage: "let jobs of `ACCOUNT` run"},
			&cli.BoolFlag{Name: "wait", Usage: "return when no job lives any more"},
		),
		Action: func(c *cli.Context) error {
			o, err := drainOptions(c)
			if err != nil {
				return err
			}
			if err := admin.SetDrain(c.App.Writer, o, time.Now()); err != nil || !c.Bool("wait") {
				return err
			}
			return admin.AwaitIdle(c.Context, o.Journal)
		},
	}
}

func drainOptions(c *cli.Context) (o admin.DrainOptions, err error) {
	o.Message = c.String("message")
	if o.Name, err = markName(c); err != nil {
		return o, err
	}
	if o.Journal, err = theJournal(c); err != nil {
		return o, err
	}
	if o.Until, err = parsePeriod("until", c.String("until")); err != nil {
		return o, err
	}
	if o.Hold, err = time.ParseDuration(c.String("hold")); err != nil || o.Hold < 0 {
		return o, fmt.Errorf("--hold %q is not a time: write 50m", c.String("hold"))
	}
	for _, account := range c.StringSlice("allow") {
		uid, err := uidOf(account)
		if err != nil {
			return o, err
		}
		o.Allow = append(o.Allow, uid)
	}
	return o, nil
}

func resumeCommand() *cli.Command {
	return &cli.Command{
		Name: "resume", Usage: "end a drain", Flags: markFlags(),
		Action: func(c *cli.Context) error {
			name, err := markName(c)
			if err != nil {
				return err
			}
			dir, err := theJournal(c)
			if err != nil {
				return err
			}
			return admin.Resume(c.App.Writer, dir, name)
		},
	}
}

func stopCommand() *cli.Command {
	return &cli.Command{
		Name: "stop", Usage: "end jobs, as a cancel in GitLab does", ArgsUsage: "[JOB...]",
		Flags: []cli.Flag{
			oneJournal(),
			&cli.StringFlag{Name: "account", Usage: "all jobs of `ACCOUNT`"},
			&cli.StringFlag{Name: "message", Usage: "`TEXT` that users read", Value: "the job was stopped by the administrators"},
		},
		Action: func(c *cli.Context) error {
			o := admin.StopOptions{Message: c.String("message")}
			var err error
			if o.Journal, err = theJournal(c); err != nil {
				return err
			}
			for _, text := range c.Args().Slice() {
				id, err := job.ParseID(text)
				if err != nil {
					return fmt.Errorf("stop: %w", err)
				}
				o.Jobs = append(o.Jobs, id)
			}
			if account := c.String("account"); account != "" {
				uid, err := uidOf(account)
				if err != nil {
					return err
				}
				o.Account = &uid
			}
			if len(o.Jobs) == 0 && o.Account == nil {
				return fmt.Errorf("stop takes numbers of jobs, or --account")
			}
			return admin.Stop(c.App.Writer, o, time.Now())
		},
	}
}
