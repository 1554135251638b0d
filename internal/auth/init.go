package auth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/setup"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/programs"
)

// InitOptions is what an administrator gave of a first configuration; what is empty is
// asked for, or has a default.
type InitOptions struct {
	Configuration                      string
	Server, CAFile, DataDir            string
	Deployment, Executor, StateDir     string
	Service, RunnerConfig, Runner, Log string
	Helper                             string
	Force                              bool
}

// Init writes a first configuration, wires a runner to it and checks the
// installation, by becoming `jacamar-auth check` as the account of the service.
// It returns only when it could not.
func Init(s InitOptions) int {
	d, err := newAdminDriver(&s.Configuration, &s.CAFile, &s.RunnerConfig, &s.Log)
	if err == nil {
		err = d.initialize(context.Background(), s)
	}
	return fail(err, notChecked)
}

func (d *authDriver) initialize(ctx context.Context, s InitOptions) error {
	file, err := job.ParseAbsPath(s.Configuration)
	if err != nil {
		return err
	}
	choice, err := d.choice(s)
	if err != nil {
		return err
	}
	owner, err := d.service(ctx, choice.Deployment, s.Service)
	if err != nil {
		return err
	}
	own, err := programs.Own()
	if err != nil {
		return err
	}
	text, err := setup.Render(choice)
	if err != nil {
		return err
	}
	if err := setup.Place(file, text, setup.AccessFor(owner, d.uid), s.Force); err != nil {
		return err
	}
	fmt.Fprintf(d.Stdout, "wrote %s\n", file)
	if err := d.wire(setup.Wiring{Program: own.String(), Configuration: file.String()}, s, owner.UID); err != nil {
		return err
	}
	return d.checkAs(owner, own.String(), file)
}

// choice asks for what the command line left open, if there is somebody to ask.
func (d *authDriver) choice(s InitOptions) (setup.Choice, error) {
	c := setup.Choice{Server: s.Server, DataDir: s.DataDir, Executor: s.Executor, CAFile: s.CAFile, StateDir: s.StateDir, Log: s.Log, Helper: s.Helper}
	questions := c.Questions(&s.Deployment)
	if _, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS); err != nil && len(questions) > 0 {
		return c, fmt.Errorf("there is no terminal to ask on: give %s", setup.Flags(questions))
	}
	if err := setup.Ask(os.Stdin, d.Stdout, questions); err != nil {
		return c, err
	}
	var err error
	c.Deployment, err = setup.ParseDeployment(s.Deployment)
	return c, err
}

// service is the account that will run jacamar-auth. Only root can make a file
// for another one.
func (d *authDriver) service(ctx context.Context, deployment setup.Deployment, name string) (job.Account, error) {
	if d.uid != 0 || deployment == setup.Root {
		return d.ownAccount(ctx)
	}
	login, err := job.ParseUsername(name)
	if err != nil {
		return job.Account{}, err
	}
	return d.names().Lookup(ctx, login)
}

// wire prints the runner's table, or merges it into the runner's file.
func (d *authDriver) wire(w setup.Wiring, s InitOptions, service job.UID) error {
	if s.RunnerConfig != "" {
		file, err := job.ParseAbsPath(s.RunnerConfig)
		if err != nil {
			return fmt.Errorf("--runner-config: %w", err)
		}
		if err := w.MergeFile(file, s.Runner, service); err != nil {
			return fmt.Errorf("cannot wire the runner: %w", err)
		}
		_, err = fmt.Fprintf(d.Stdout, "wired a runner of %s to it\n", s.RunnerConfig)
		return err
	}
	stanza, err := w.Stanza()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.Stdout, "\nFor the runner's config.toml, in its [[runners]]:\n\n%s\n", stanza)
	return err
}

// checkAs becomes the check, as the account of the service: what a check can see
// depends on who asks. It returns only when it could not.
func (d *authDriver) checkAs(owner job.Account, own string, file job.AbsPath) error {
	if owner.UID != d.uid {
		groups := make([]int, 0, len(owner.Groups))
		for _, g := range owner.Groups {
			groups = append(groups, int(g))
		}
		if err := errors.Join(syscall.Setgroups(groups), syscall.Setgid(int(owner.GID)), syscall.Setuid(int(owner.UID))); err != nil {
			return fmt.Errorf("cannot check as %s: %w", owner.Name, err)
		}
	}
	err := syscall.Exec(own, []string{own, "check", "--configuration", file.String()}, []string{"PATH=/usr/bin:/bin"})
	return fmt.Errorf("cannot check as %s: %s: %w (may that account run it?)", owner.Name, own, err)
}
