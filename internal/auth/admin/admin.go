// Package admin has the commands of jacamar-admin that look at an installation: check,
// init, explain and keys refresh. They use the functions of a job's stage, so that
// what they report is what a job meets.
//
// It is below internal/auth because the packages that it judges are internal there
// (docs/decisions/0023-administration-is-a-program.md).
package admin

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/auth/admin/check"
	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/programs"
)

// UsualConfiguration is the site's configuration where the command line names none.
const UsualConfiguration = check.UsualConfiguration

// open completes the paths of the command line, before this process leaves the
// directory that they are relative to, and opens the installation.
func open(configuration string, paths ...*string) (auth.Installation, error) {
	for _, p := range append(paths, &configuration) {
		if *p == "" {
			continue
		}
		full, err := filepath.Abs(*p)
		if err != nil {
			return auth.Installation{}, err
		}
		*p = full
	}
	v, err := view()
	if err != nil {
		return auth.Installation{}, err
	}
	return auth.Open(configuration, v)
}

// openLoaded opens an installation whose configuration can be used.
func openLoaded(configuration string, paths ...*string) (i auth.Installation, err error) {
	if i, err = open(configuration, paths...); err == nil {
		err = i.Load()
	}
	return i, err
}

// openWhole is openLoaded with the account of helpers.
func openWhole(configuration string, paths ...*string) (i auth.Installation, err error) {
	if i, err = openLoaded(configuration, paths...); err == nil {
		err = i.FindHelper()
	}
	return i, err
}

// privilegedProgram is the jacamar-auth that is judged, in this program's directory.
func privilegedProgram() (job.AbsPath, error) { return programs.Sibling("jacamar-auth") }

// view is how jacamar-auth runs, by its file: with file capabilities it is the
// service account's to run, and root can do here what it can.
func view() (auth.View, error) {
	p, err := privilegedProgram()
	if err != nil {
		return auth.View{}, err
	}
	v := auth.View{UID: job.UID(os.Geteuid()), Privileged: capability.CanSwitchAccounts()}
	held, err := capability.FileSet(p.String())
	if err != nil || !held.Has(unix.CAP_SETUID) && !held.Has(unix.CAP_SETGID) {
		return v, nil
	}
	if v.UID != 0 {
		v.Closed = !v.Privileged
		v.Privileged = true
		return v, nil
	}
	if service, ok := serviceOf(p); ok {
		v.UID, v.Privileged = service, true
	}
	return v, nil
}

// serviceOf is the account that may run a jacamar-auth with file capabilities: the
// one whose primary group the file has.
func serviceOf(p job.AbsPath) (job.UID, bool) {
	var info unix.Stat_t
	if err := unix.Stat(p.String(), &info); err != nil || info.Gid == 0 {
		return 0, false
	}
	a, err := account.LocalFiles().ByPrimaryGroup(job.GID(info.Gid))
	return a.UID, err == nil && a.UID != 0
}

// refuseClosed refuses what only root can do.
func refuseClosed() error {
	v, err := view()
	if err == nil && v.Closed {
		err = failure.Configf("cannot do this as uid %d: jacamar-auth has file capabilities, and what it keeps is closed to that account: run it as root", v.UID)
	}
	return err
}

func fail(err error, status int) int {
	fmt.Fprintln(os.Stderr, "jacamar-admin:", err)
	return status
}

// RefreshKeys fetches the server's keys and keeps them, for a timer. With forget, keys
// that were fetched before are no longer trusted. The exit status is 0 or 1.
func RefreshKeys(configuration string, forget bool) int {
	err := refuseClosed()
	if err == nil {
		err = refreshKeys(context.Background(), configuration, forget)
	}
	if err != nil {
		return fail(err, 1)
	}
	return 0
}

func refreshKeys(ctx context.Context, configuration string, forget bool) error {
	i, err := openWhole(configuration)
	if err != nil {
		return err
	}
	log := i.OpenLog(ctx, func(err error) { fmt.Fprintln(os.Stderr, "jacamar-admin: cannot write the operator's log:", err) })
	defer log.Close()
	keys, err := i.Keys(ctx)
	if err != nil {
		return err
	}
	set, err := keys.Refresh(ctx, time.Now(), forget)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%d keys kept in %s\n", set.Len(), keys.Dir())
	return err
}
