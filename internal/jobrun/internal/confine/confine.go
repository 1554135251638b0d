// Package confine gives a job's processes the limits of the site, and takes from
// them what the site does not want them to have. Both hold on this host: what a
// batch system runs elsewhere has the batch system's rules.
package confine

import (
	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/handoff"
	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/seccomp"
)

// umask is that of a login: others may read what the job makes outside its own
// directories, which have mode 0700, and nobody else may write it.
const umask = 0o022

// Process sets this process's limits and umask, which all its children have,
// scheduler commands as well: batch systems hand them on to the nodes.
func Process(c handoff.Confinement) error {
	unix.Umask(umask)
	if c.RaiseStack {
		if err := rlimit.RaiseStack(); err != nil {
			return beyond(err)
		}
	}
	for _, l := range c.Limits {
		if err := l.Set(0); err != nil {
			return beyond(err)
		}
	}
	return nil
}

func beyond(err error) error {
	return failure.Systemf("cannot set the job's limits: %w", err).WithHint("the site asks for more than the runner's service has: its administrators can raise that")
}

// Thread returns what gives up the calling thread's rights for the program that
// it starts next; nil when there is nothing to give up.
func Thread(c handoff.Confinement) func() error {
	if !c.NoNewPrivs {
		return nil
	}
	return func() error {
		if err := seccomp.NoNewPrivs(); err != nil || c.Filter == nil {
			return err
		}
		return c.Filter.Load()
	}
}
