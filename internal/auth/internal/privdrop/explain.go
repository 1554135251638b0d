package privdrop

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/internal/programs"
	"jacamar-ci/internal/settings"
)

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
