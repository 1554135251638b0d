// Package privdrop starts jacamar as the account of a grant. If the configured
// strategy is not possible, it refuses; it never tries another one.
package privdrop

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/internal/programs"
	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/settings"
)

// Launcher starts jacamar.
type Launcher struct {
	Strategy       settings.Downscope
	Jacamar        job.AbsPath
	Stdout, Stderr *os.File
	// Core is the limit on core files that jacamar starts with.
	Core unix.Rlimit
	// Limits are those of the site. jacamar sets them itself; the Launcher raises hard
	// limits if this process may.
	Limits []rlimit.Limit
	// Filter loads the default system-call filter with Setuid if this process has the
	// capability for it.
	Filter bool
	// NoNewPrivs sets no_new_privs for jacamar. With Sudo, jacamar sets it itself.
	NoNewPrivs bool
	// Thread starts the first jacamar; nil for any.
	Thread *inherit.Thread
}

// Start starts jacamar for one stage as the granted account. It also returns the
// process attributes that jacamar must verify.
func (l Launcher) Start(grant policy.Grant, stage job.Stage) (child *monitor.Child, as inherit.Start, err error) {
	account, ok := grant.Account()
	if !ok {
		return nil, as, failure.Privatef("no account was granted")
	}
	plan, err := l.plan(account, stage)
	if err != nil {
		return nil, as, err
	}
	child, err = monitor.Start(func(socket *os.File) (pid int, err error) {
		pid, as, err = l.fork(plan, socket)
		return pid, err
	})
	if err != nil {
		return nil, as, l.notStarted(account, err)
	}
	return child, as, nil
}

// fork starts the plan. The child calls setgroups, setgid and setuid in this order; an
// error ends it before it executes a program. jacamar verifies its ids again.
func (l Launcher) fork(p plan, socket *os.File) (pid int, as inherit.Start, err error) {
	if as, err = l.startSettings(); err != nil {
		return 0, as, err
	}
	pid, err = l.Thread.Run(func(t *inherit.Thread) (pid int, err error) {
		if as, err = t.Shed(as, p.uid); err != nil {
			return 0, err
		}
		restore, err := l.withCoreLimit()
		if err != nil {
			return 0, err
		}
		defer restore()
		l.raiseHardLimits()
		return syscall.ForkExec(p.argv[0], p.argv, &syscall.ProcAttr{
			Dir: "/", Env: monitor.Environ(),
			Files: []uintptr{socket.Fd(), l.Stdout.Fd(), l.Stderr.Fd()},
			Sys:   p.attributes(sessionTerminal),
		})
	})
	return pid, as, err
}

// startSettings returns the attributes that this process can set for jacamar. For sudo
// there are none: they would prevent it from working.
func (l Launcher) startSettings() (as inherit.Start, err error) {
	if l.Strategy == settings.Sudo {
		return inherit.Start{Sudo: true}, nil
	}
	as.NoNewPrivs = l.NoNewPrivs
	if l.Strategy != settings.Setuid {
		return as, nil
	}
	held, err := capability.Effective()
	as.Filter = l.Filter && held.Has(unix.CAP_SYS_ADMIN)
	as.NoBounding = l.NoNewPrivs && held.Has(unix.CAP_SETPCAP)
	return as, err
}

// withCoreLimit sets the limit on core files to the one that the job must inherit, and
// returns a function that restores it after the fork. This process itself still dumps
// no core (see lockdown).
func (l Launcher) withCoreLimit() (restore func(), err error) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &own); err != nil {
		return nil, fmt.Errorf("cannot read the limit on core files: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &l.Core); err != nil {
		return nil, fmt.Errorf("cannot restore the limit on core files: %w", err)
	}
	return func() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &own) }, nil
}

// raiseHardLimits raises this process's hard limits to those of the site. jacamar
// inherits them, sets the limits itself, and reports a failure. This process cannot
// set them on jacamar: at the end of execve(2) the kernel restores the stack limit
// from its beginning (finalize_exec in fs/exec.c).
func (l Launcher) raiseHardLimits() {
	for _, limit := range l.Limits {
		_ = limit.RaiseHard()
	}
}

// notStarted explains an error of the start itself. If it is of the program's file, the
// installation has to be corrected.
func (l Launcher) notStarted(a job.Account, err error) error {
	switch faults := programs.Blocked(l.Jacamar); {
	case errors.Is(err, unix.EACCES) && len(faults) > 0:
		return failure.Configf("cannot start %s as %s: %s %s: %s", l.Jacamar, a.Name, faults[0].Path, faults[0].Problem, faults[0].Fix)
	case errors.Is(err, unix.EACCES):
		return failure.Configf("cannot start %s as %s: %w: run: namei -l %[1]s as root, and let the accounts of jobs run it", l.Jacamar, a.Name, err)
	case errors.Is(err, unix.ENOEXEC):
		return failure.Configf("cannot start %s as %s: %w: install the package for this machine, or write an interpreter (#!) in its first line if it is a script", l.Jacamar, a.Name, err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return failure.Configf("cannot start %s as %s: %w: install all programs from one package", l.Jacamar, a.Name, err)
	}
	return failure.Privatef("cannot start %s as %s: %w", l.Jacamar, a.Name, err)
}

// sudoFailure is the exit status of a sudo that starts nothing (sudo(8)). jacamar's own is
// another.
const sudoFailure = 1

// Explain explains the failure of a stage whose jacamar sudo has not started.
func (l Launcher) Explain(grant policy.Grant, err error) error {
	var start *monitor.StartError
	account, ok := grant.Account()
	if l.Strategy != settings.Sudo || !ok || !errors.As(err, &start) || start.Status != sudoFailure || start.Text == "" {
		return err
	}
	why, _, _ := strings.Cut(start.Text, "\n")
	return failure.Configf("sudo does not let this account (uid %d) start %s as %s (%s): the sudo rule must allow it: see Runas_Alias and Cmnd_Alias in the file sudoers that is installed with Jacamar",
		os.Geteuid(), l.Jacamar, account.Name, job.Clip(why))
}
