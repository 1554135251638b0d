package admin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/auth/admin/setup"
	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/programs"
	"jacamar-ci/internal/settings"
)

// InitOptions is what the command line gives of a first configuration. Init prompts for
// what is empty, or it has a default.
type InitOptions struct {
	Configuration                      string
	Server, CAFile, DataDir            string
	Deployment, Executor, StateDir     string
	Service, RunnerConfig, Runner, Log string
	Helper                             string
	Force                              bool
	// Groups are those whose members may run jobs, "" to prompt for them.
	Groups string
	// Wire only makes a runner call jacamar-auth with the configuration that exists.
	Wire bool
}

// Init writes a first configuration, adds it to a runner's and checks the
// installation, by becoming `jacamar-admin check`. It returns only where it could not, or
// where nothing is authorized.
func Init(o InitOptions) int {
	i, err := open(o.Configuration, &o.Configuration, &o.CAFile, &o.RunnerConfig, &o.Log)
	if err == nil {
		err = initialize(context.Background(), i, o)
	}
	if err != nil {
		return fail(err, notChecked)
	}
	return 0
}

func initialize(ctx context.Context, i auth.Installation, o InitOptions) error {
	file, err := job.ParseAbsPath(o.Configuration)
	if err != nil {
		return err
	}
	if o.Wire {
		return wireOnly(ctx, i, o, file)
	}
	choice, err := choose(ctx, i, o)
	if err != nil {
		return err
	}
	owner, err := service(ctx, i, choice.Deployment, o.Service)
	if err != nil {
		return err
	}
	if least := defaultMinUID(); choice.Deployment == setup.None && owner.UID < least {
		choice.MinUID = owner.UID
	}
	text, err := setup.Render(choice)
	if err != nil {
		return err
	}
	if err := reachable(file, owner); err != nil {
		return err
	}
	made, err := setup.NewFile(file, text, setup.AccessFor(owner, uid()), o.Force)
	if err != nil {
		return err
	}
	defer made.Discard()
	wiring, err := wiringOf(choice.Deployment, file)
	if err != nil {
		return err
	}
	if err := put(wiring, o, owner.UID, made); err != nil {
		return err
	}
	if choice.Deployment == setup.NoAuth {
		return nil
	}
	return checkAs(owner, choice.Deployment, file)
}

// defaultMinUID is auth.min_uid where a configuration does not set it.
func defaultMinUID() job.UID {
	for _, k := range config.Reference() {
		if n, ok := k.Default.(int64); ok && k.Path == "auth.min_uid" {
			return job.UID(n)
		}
	}
	return 0
}

// wiringOf is how the runner calls the program of a deployment.
func wiringOf(d setup.Deployment, file job.AbsPath) (setup.Wiring, error) {
	name := "jacamar-auth"
	if d == setup.NoAuth {
		name = "jacamar"
	}
	program, err := programs.Sibling(name)
	return setup.Wiring{Program: program.String(), Configuration: file.String(), NoAuth: d == setup.NoAuth}, err
}

// put puts the configuration and the runner's file into their places, both or none, or
// prints the runner's table.
func put(w setup.Wiring, o InitOptions, service job.UID, made ...*setup.Change) error {
	changes, was := made, ""
	if o.RunnerConfig != "" {
		c, executor, err := merged(w, o, service)
		if err != nil {
			return err
		}
		defer c.Discard()
		changes, was = append(changes, c), executor
	}
	unit, limit, err := limited(o.RunnerConfig)
	if err != nil {
		return err
	}
	if limit != nil {
		defer limit.Discard()
		changes = append(changes, limit)
	}
	if err := setup.Apply(time.Now(), changes...); err != nil {
		return err
	}
	for _, c := range made {
		fmt.Fprintf(os.Stdout, "wrote %s\n", c.Path())
	}
	if o.RunnerConfig == "" {
		table, err := w.Table()
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stdout, "\nFor the runner's config.toml, in its [[runners]]:\n\n%s\n", table)
	} else {
		fmt.Fprintf(os.Stdout, "added it to a runner of %s%s\n", o.RunnerConfig, changed(was))
	}
	switch {
	case limit != nil:
		fmt.Fprintf(os.Stdout, "wrote %s: the runner's stages prepare for 4 processors; it has an effect after: systemctl daemon-reload && systemctl restart %s\n", limit.Path(), unit.Name)
	case !unit.Limited && runtime.NumCPU() > setup.ManyProcessors:
		fmt.Fprintf(os.Stdout, "this host has %d processors: put %s into the section [Service] of the runner's unit, so that its stages start faster\n", runtime.NumCPU(), setup.ProcessorsSetting)
	}
	for _, c := range changes {
		if c.Backup() != "" {
			fmt.Fprintf(os.Stdout, "the former file is %s\n", c.Backup())
		}
	}
	return nil
}

// changed describes that a runner had another executor.
func changed(executor string) string {
	if executor == "" || executor == "custom" {
		return ""
	}
	return fmt.Sprintf(", whose executor was %q", executor)
}

// limited prepares the drop-in that limits the processors of the service of a runner, nil
// where it is limited, or where this account may not change it.
func limited(runnerConfig string) (unit setup.Unit, limit *setup.Change, err error) {
	file, err := job.ParseAbsPath(runnerConfig)
	if err != nil {
		return unit, nil, nil //nolint:nilerr // no file was named
	}
	if unit = setup.FindUnit("/", file); unit.Name == "" || unit.Limited || uid() != 0 {
		return unit, nil, nil
	}
	limit, err = setup.NewLimit("/", unit)
	return unit, limit, err
}

func merged(w setup.Wiring, o InitOptions, service job.UID) (*setup.Change, string, error) {
	file, err := job.ParseAbsPath(o.RunnerConfig)
	if err != nil {
		return nil, "", fmt.Errorf("--runner-config: %w", err)
	}
	c, was, err := w.MergeFile(file, o.Runner, service)
	if err != nil {
		return nil, "", fmt.Errorf("cannot change the runner's configuration: %w", err)
	}
	return c, was, nil
}

// reachable reports a directory on the way to the configuration that the account of the
// service cannot enter.
func reachable(file job.AbsPath, service job.Account) error {
	if service.UID == 0 {
		return nil
	}
	for dir := path.Dir(file.String()); dir != "/"; dir = path.Dir(dir) {
		var info unix.Stat_t
		if unix.Stat(dir, &info) != nil {
			continue // reported where the file is made
		}
		mine := info.Uid == uint32(service.UID) && info.Mode&0o100 != 0
		group := (info.Gid == uint32(service.GID) || slices.Contains(service.Groups, job.GID(info.Gid))) && info.Mode&0o010 != 0
		if !mine && !group && info.Mode&0o001 == 0 {
			return fmt.Errorf("the account %s of the service cannot enter %s (mode %04o): run: chgrp %d %[2]s && chmod g+x %[2]s", service.Name, dir, info.Mode&0o7777, service.GID)
		}
	}
	return nil
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
	wiring, err := wiringOf(deploymentOf(i), file)
	if err != nil {
		return err
	}
	owner, err := serviceOfFile(ctx, i, file)
	if err != nil {
		return err
	}
	if err := put(wiring, o, owner.UID); err != nil {
		return err
	}
	return checkAs(owner, deploymentOf(i), file)
}

// serviceOfFile is the account of the service that an installation is for, as the
// configuration's file has it: init lets the primary group of that account read it.
func serviceOfFile(ctx context.Context, i auth.Installation, file job.AbsPath) (job.Account, error) {
	own, err := i.Names().ByUID(ctx, uid())
	if err != nil || uid() != 0 {
		return own, err
	}
	var info unix.Stat_t
	if err := unix.Stat(file.String(), &info); err != nil {
		return job.Account{}, err
	}
	if a, err := i.Names().ByUID(ctx, job.UID(info.Uid)); err == nil && a.UID != 0 {
		return a, nil
	}
	if a, err := account.LocalFiles().ByPrimaryGroup(job.GID(info.Gid)); err == nil && a.UID != 0 {
		return a, nil
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

// choose prompts for what the command line left open, if there is a terminal.
// Without one a site is open to every account unless the command line names groups.
func choose(ctx context.Context, i auth.Installation, o InitOptions) (setup.Choice, error) {
	c := setup.Choice{Server: o.Server, DataDir: o.DataDir, Executor: o.Executor, CAFile: o.CAFile, StateDir: o.StateDir, Log: o.Log, Helper: o.Helper, Groups: o.Groups}
	_, noTerminal := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
	if noTerminal != nil && c.Groups == "" {
		c.Groups = setup.Everyone
	}
	questions := c.Questions(&o.Deployment, func(name string) error {
		missing, err := i.Names().Missing(ctx, "group", []string{name})
		if err == nil && len(missing) > 0 {
			err = fmt.Errorf("there is no group %q here", name)
		}
		return err
	})
	if noTerminal != nil && len(questions) > 0 {
		return c, fmt.Errorf("there is no terminal to ask on: give %s", setup.Flags(questions))
	}
	if err := setup.Ask(os.Stdin, os.Stdout, questions, &o.Deployment); err != nil {
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
		return i.Names().ByUID(ctx, uid())
	}
	login, err := job.ParseUsername(name)
	if err != nil {
		return job.Account{}, err
	}
	return i.Names().Lookup(ctx, login)
}

// checkAs becomes the check, as the account that sees what jacamar-auth will see:
// root where that has capabilities, else the account of the service. It returns only
// when it could not.
func checkAs(owner job.Account, deployment setup.Deployment, file job.AbsPath) error {
	if owner.UID != uid() && deployment != setup.Caps {
		if err := errors.Join(syscall.Setgroups(thread.Of(owner).Groups), syscall.Setgid(int(owner.GID)), syscall.Setuid(int(owner.UID))); err != nil {
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
