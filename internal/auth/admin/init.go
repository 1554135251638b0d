package admin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/auth/admin/setup"
	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/programs"
	"jacamar-ci/internal/settings"
)

// InitOptions is what the command line gives of a first configuration; what is empty
// is asked for, or has a default.
type InitOptions struct {
	Configuration                      string
	Server, CAFile, DataDir            string
	Deployment, Executor, StateDir     string
	Service, RunnerConfig, Runner, Log string
	Helper                             string
	Force                              bool
	// Wire only makes a runner call jacamar-auth with the configuration that exists.
	Wire bool
}

// Init writes a first configuration, adds it to a runner's and checks the
// installation, by becoming `jacamar-admin check`. It returns only when it could not.
func Init(o InitOptions) int {
	i, err := open(o.Configuration, &o.Configuration, &o.CAFile, &o.RunnerConfig, &o.Log)
	if err == nil {
		err = initialize(context.Background(), i, o)
	}
	return fail(err, notChecked)
}

func initialize(ctx context.Context, i auth.Installation, o InitOptions) error {
	file, err := job.ParseAbsPath(o.Configuration)
	if err != nil {
		return err
	}
	if o.Wire {
		return wireOnly(ctx, i, o, file)
	}
	choice, err := choose(o)
	if err != nil {
		return err
	}
	owner, err := service(ctx, i, choice.Deployment, o.Service)
	if err != nil {
		return err
	}
	program, err := privilegedProgram()
	if err != nil {
		return err
	}
	text, err := setup.Render(choice)
	if err != nil {
		return err
	}
	if err := setup.Place(file, text, setup.AccessFor(owner, uid()), o.Force); err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "wrote %s\n", file)
	if err := wire(setup.Wiring{Program: program.String(), Configuration: file.String()}, o, owner.UID); err != nil {
		return err
	}
	return checkAs(owner, choice.Deployment, file)
}

// wireOnly makes another runner call jacamar-auth with a configuration that exists, and
// checks the installation.
func wireOnly(ctx context.Context, i auth.Installation, o InitOptions, file job.AbsPath) error {
	if o.RunnerConfig == "" {
		return errors.New("--wire needs --runner-config")
	}
	if err := i.Load(); err != nil {
		return err
	}
	program, err := privilegedProgram()
	if err != nil {
		return err
	}
	owner, err := serviceOfFile(ctx, i, file)
	if err != nil {
		return err
	}
	if err := wire(setup.Wiring{Program: program.String(), Configuration: file.String()}, o, owner.UID); err != nil {
		return err
	}
	return checkAs(owner, deploymentOf(i), file)
}

// serviceOfFile is the account of the service that an installation is for, as the
// configuration's file has it: init lets the primary group of that account read it.
func serviceOfFile(ctx context.Context, i auth.Installation, file job.AbsPath) (job.Account, error) {
	own, err := accountOf(ctx, i, uid())
	if err != nil || uid() != 0 {
		return own, err
	}
	var info unix.Stat_t
	if err := unix.Stat(file.String(), &info); err != nil {
		return job.Account{}, err
	}
	for _, service := range []func() (job.Account, error){
		func() (job.Account, error) { return accountOf(ctx, i, job.UID(info.Uid)) },
		func() (job.Account, error) { return account.LocalFiles().ByPrimaryGroup(job.GID(info.Gid)) },
	} {
		if a, err := service(); err == nil && a.UID != 0 {
			return a, nil
		}
	}
	return own, nil
}

// deploymentOf is that of a loaded configuration, as far as it decides who checks it.
func deploymentOf(i auth.Installation) setup.Deployment {
	switch i.Config().Auth.Downscope {
	case settings.Sudo:
		return setup.Sudo
	case settings.None:
		return setup.None
	}
	return setup.Caps
}

// uid is the account of this process.
func uid() job.UID { return job.UID(os.Geteuid()) }

// choose asks for what the command line left open, if there is a terminal to ask on.
func choose(o InitOptions) (setup.Choice, error) {
	c := setup.Choice{Server: o.Server, DataDir: o.DataDir, Executor: o.Executor, CAFile: o.CAFile, StateDir: o.StateDir, Log: o.Log, Helper: o.Helper}
	questions := c.Questions(&o.Deployment)
	if _, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS); err != nil && len(questions) > 0 {
		return c, fmt.Errorf("there is no terminal to ask on: give %s", setup.Flags(questions))
	}
	if err := setup.Ask(os.Stdin, os.Stdout, questions); err != nil {
		return c, err
	}
	var err error
	c.Deployment, err = setup.ParseDeployment(o.Deployment)
	return c, err
}

// service is the account that will run jacamar-auth. Only root can make a file for
// another one.
func service(ctx context.Context, i auth.Installation, deployment setup.Deployment, name string) (job.Account, error) {
	if uid() != 0 || deployment == setup.Root {
		return accountOf(ctx, i, uid())
	}
	login, err := job.ParseUsername(name)
	if err != nil {
		return job.Account{}, err
	}
	return i.Names().Lookup(ctx, login)
}

func accountOf(ctx context.Context, i auth.Installation, id job.UID) (job.Account, error) {
	name, err := i.Names().Owner(ctx, job.Account{UID: id})
	if err != nil {
		return job.Account{}, err
	}
	return i.Names().Lookup(ctx, name)
}

// wire prints the runner's table, or merges it into the runner's file.
func wire(w setup.Wiring, o InitOptions, service job.UID) error {
	if o.RunnerConfig != "" {
		file, err := job.ParseAbsPath(o.RunnerConfig)
		if err != nil {
			return fmt.Errorf("--runner-config: %w", err)
		}
		if err := w.MergeFile(file, o.Runner, service); err != nil {
			return fmt.Errorf("cannot change the runner's configuration: %w", err)
		}
		_, err = fmt.Fprintf(os.Stdout, "added it to a runner of %s\n", o.RunnerConfig)
		return err
	}
	table, err := w.Table()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "\nFor the runner's config.toml, in its [[runners]]:\n\n%s\n", table)
	return err
}

// checkAs becomes the check, as the account that sees what jacamar-auth will see:
// root where that has capabilities, else the account of the service. It returns only
// when it could not.
func checkAs(owner job.Account, deployment setup.Deployment, file job.AbsPath) error {
	if owner.UID != uid() && deployment != setup.Caps {
		groups := make([]int, 0, len(owner.Groups))
		for _, g := range owner.Groups {
			groups = append(groups, int(g))
		}
		if err := errors.Join(syscall.Setgroups(groups), syscall.Setgid(int(owner.GID)), syscall.Setuid(int(owner.UID))); err != nil {
			return fmt.Errorf("cannot check as %s: %w", owner.Name, err)
		}
	}
	own, err := programs.Sibling("jacamar-admin")
	if err != nil {
		return err
	}
	err = syscall.Exec(own.String(), []string{own.String(), "check", "--configuration", file.String()}, []string{"PATH=/usr/bin:/bin"})
	return fmt.Errorf("cannot run %s: %w", own, err)
}
