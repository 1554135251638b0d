// Package privdrop starts jacamar as the account that a grant names. A strategy
// that cannot do its work is a refusal; there is never another one tried.
package privdrop

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/internal/rlimit"
)

// Launcher knows how to start jacamar.
type Launcher struct {
	Strategy       Strategy
	Jacamar        job.AbsPath
	Stdout, Stderr *os.File
	// Core is the limit on core files that jacamar starts with.
	Core unix.Rlimit
	// Limits are those of the site. jacamar sets them itself, as far as it may;
	// hard ones are raised here, where this process may.
	Limits []rlimit.Limit
	// Filter sets the system-call filter without lists, with Setuid and where this
	// process's own capabilities suffice.
	Filter bool
	// NoNewPrivs is set for jacamar as a whole, which sets it itself behind Sudo.
	NoNewPrivs bool
	// Thread starts the first jacamar; nil for any.
	Thread *inherit.Thread
}

// Start starts jacamar for one stage as the granted account. What it returns beside
// it is for jacamar to verify.
func (l Launcher) Start(grant policy.Grant, stage job.Stage) (child *monitor.Child, as inherit.Start, err error) {
	account, ok := grant.Account()
	if !ok {
		return nil, as, failure.Deniedf("no account was granted")
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
		return nil, as, failure.Privatef("cannot start jacamar as %s: %w", account.Name, err)
	}
	return child, as, nil
}

// fork starts the plan. In the child come setgroups, setgid and setuid, in this
// order, and any error ends it before it executes anything; jacamar verifies its
// ids again before it does.
func (l Launcher) fork(p plan, socket *os.File) (pid int, as inherit.Start, err error) {
	if as, err = l.promise(); err != nil {
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
		l.raise()
		return syscall.ForkExec(p.argv[0], p.argv, &syscall.ProcAttr{
			Dir: "/", Env: monitor.Environ(),
			Files: []uintptr{socket.Fd(), l.Stdout.Fd(), l.Stderr.Fd()},
			Sys:   p.attributes(sessionTerminal),
		})
	})
	return pid, as, err
}

// promise is what a start by this process can have beyond the strategy itself. What
// is set for sudo would be in the way of sudo.
func (l Launcher) promise() (as inherit.Start, err error) {
	if l.Strategy == Sudo {
		return inherit.Start{Sudo: true}, nil
	}
	as.NoNewPrivs = l.NoNewPrivs
	if l.Strategy != Setuid {
		return as, nil
	}
	held, err := capability.Effective()
	as.Filter = l.Filter && held.Has(unix.CAP_SYS_ADMIN)
	as.NoBounding = l.NoNewPrivs && held.Has(unix.CAP_SETPCAP)
	return as, err
}

// withCoreLimit has the limit on core files for the time of a fork as the job must
// inherit it. This process itself dumps none all the while (see lockdown).
func (l Launcher) withCoreLimit() (restore func(), err error) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &own); err != nil {
		return nil, fmt.Errorf("cannot read the limit on core files: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &l.Core); err != nil {
		return nil, fmt.Errorf("cannot hand on the limit on core files: %w", err)
	}
	return func() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &own) }, nil
}

// raise lifts this process's own hard limits to the site's, which jacamar inherits
// and sets itself; it finds out, and tells, where one is missing. They are not set
// on jacamar from outside: at the end of execve(2) the kernel puts back the limit
// of the stack that it had at the beginning (finalize_exec in fs/exec.c).
func (l Launcher) raise() {
	for _, limit := range l.Limits {
		_ = limit.RaiseHard()
	}
}
