// Package confine gives a job's processes the limits of the site, and takes from
// them what the site does not want them to have. Both hold on this host: what a
// batch system runs elsewhere has the batch system's rules.
package confine

import (
	"fmt"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/seccomp"
	"jacamar-ci/internal/settings"
)

// umask is that of a login: others may read what the job makes outside its own
// directories, which have mode 0700, and no other account may write it.
const umask = 0o022

// Process sets this process's limits and umask, which all its children have,
// scheduler commands as well: batch systems hand them on to the nodes.
func Process(c settings.Confinement) error {
	unix.Umask(umask)
	if c.SetStackSize {
		if err := rlimit.RaiseStack(); err != nil {
			return beyond(err)
		}
	}
	for _, l := range c.Limits.Set() {
		if err := l.Set(0); err != nil {
			return beyond(err)
		}
	}
	return nil
}

func beyond(err error) error {
	return failure.Systemf("cannot set the job's limits: %w", err).WithHint("the site asks for more than the runner's service has: its administrators can raise that")
}

// Job confines the programs that the calling thread starts, to which the goroutine
// must be locked, and this process with them, on all its threads: a job that took it
// over would gain nothing. What this process itself needs it keeps, the thread does
// not.
func Job(c settings.Confinement) error {
	filter := c.Filter()
	switch {
	case !c.NoNewPrivs:
		return nil
	case filter == nil:
		return noNewPrivs()
	}
	if err := seccomp.NoNewPrivs(); err != nil {
		return err
	}
	whole := filter.WithAllowed(own())
	if err := whole.LoadAll(); err != nil {
		return err
	}
	if slices.Equal(whole.Program(), filter.Program()) {
		return nil
	}
	return filter.Load()
}

// noNewPrivs sets it on all threads, where no filter does.
func noNewPrivs() error {
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); errno != 0 {
		return fmt.Errorf("cannot set no_new_privs: %w", errno)
	}
	return nil
}
