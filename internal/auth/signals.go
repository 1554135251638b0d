package auth

import (
	"fmt"
	"os"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/privdrop"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/internal/proctree"
)

// signaller returns how processes are ended that only the job's account may signal:
// with the right to change ids by a thread of this process, else by a jacamar that
// was started for it. Without a change of account there is nothing to do so for.
func signaller(l privdrop.Launcher, grant policy.Grant, brief ipc.Request) func() (monitor.Account, error) {
	switch l.Strategy {
	case privdrop.Setuid:
		a := brief.Account
		return func() (monitor.Account, error) {
			return asAccount{&thread.IDs{UID: uint32(a.UID), GID: uint32(a.GID)}}, nil
		}
	case privdrop.Sudo:
		return func() (monitor.Account, error) { return reaper(l, grant, brief) }
	}
	return nil
}

// asAccount signals with the account's ids as the effective ones of a thread. They
// give the account no right over this process (kill(2) asks for real and saved ids).
type asAccount struct{ ids *thread.IDs }

// Kill implements monitor.Account.
func (a asAccount) Kill(c ipc.Condemned) error {
	return thread.Run(func() error {
		return a.ids.WithIDs(func() error {
			proctree.KillAll(c.PIDs, c.Below)
			return nil
		})
	})
}

// Starter implements monitor.Account.
func (asAccount) Starter() int { return 0 }

// Close implements monitor.Account.
func (asAccount) Close() *monitor.Child { return nil }

// reaper starts a jacamar as the account. The job's log is no place for its words.
func reaper(l privdrop.Launcher, grant policy.Grant, brief ipc.Request) (monitor.Account, error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot signal as the account: %w", err)
	}
	defer null.Close()
	l.Stdout, l.Stderr = null, null
	child, as, err := l.Start(grant, job.Cleanup)
	if err != nil {
		return nil, err
	}
	brief.Stage, brief.Start = job.Cleanup, as
	return monitor.NewReaper(child, brief)
}

// left reports processes that could not be ended, to the operator and to the user.
func (d *authDriver) left(err error) {
	d.warn(err)
	d.WarnUser(err)
}
