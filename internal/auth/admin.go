package auth

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/lockdown"
)

// newAdminDriver makes a driver for a command that no runner calls. The paths are
// those of the command line: they are completed before this process leaves the
// directory that they are relative to.
func newAdminDriver(configuration *string, paths ...*string) (*authDriver, error) {
	for _, p := range append(paths, configuration) {
		if *p == "" {
			continue
		}
		full, err := filepath.Abs(*p)
		if err != nil {
			return nil, err
		}
		*p = full
	}
	if _, err := lockdown.Enter(); err != nil {
		return nil, err
	}
	return &authDriver{
		Session: driver.Session{
			Call:   driver.Call{Stage: job.Config, Configuration: *configuration, Unobfuscated: true},
			Stdout: os.Stdout, Stderr: os.Stderr, Started: time.Now(),
		},
		powers: capability.CanSwitchAccounts(), administers: true, uid: job.UID(os.Geteuid()),
	}, nil
}

func fail(err error, status int) int {
	fmt.Fprintln(os.Stderr, "jacamar-auth:", err)
	return status
}

// RefreshKeys fetches the server's keys and keeps them, for a timer. With forget, no
// key is believed any more that was fetched before. The exit status is 0 or 1.
func RefreshKeys(configuration string, forget bool) int {
	d, err := newAdminDriver(&configuration)
	if err == nil {
		err = d.refreshKeys(context.Background(), forget)
	}
	if err != nil {
		return fail(err, 1)
	}
	return 0
}

func (d *authDriver) refreshKeys(ctx context.Context, forget bool) (err error) {
	if err = d.configure(); err != nil {
		return err
	}
	d.log = d.openLog(ctx, d.lost)
	defer d.log.Close()
	if err = d.findHelper(); err != nil {
		return err
	}
	keys, err := d.keySource(ctx)
	if err != nil {
		return err
	}
	fetch := keys.Refresh
	if forget {
		fetch = keys.Reset
	}
	set, err := fetch(ctx, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.Stdout, "%d keys kept in %s\n", set.Len(), keys.Dir())
	return err
}
