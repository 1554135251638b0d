package auth

import (
	"context"
	"os"

	"jacamar-ci/internal/auth/internal/check"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/programs"
)

// notChecked is the exit status that monitoring plugins use for unknown.
const notChecked = 3

// Check looks at the installation and prints what it finds. The exit status is 0
// when all is well, 1 with warnings, 2 with faults, 3 when it could not look.
func Check(configuration string, asJSON bool) int {
	d, err := newAdminDriver(&configuration)
	if err != nil {
		return fail(err, notChecked)
	}
	ctx := context.Background()
	site, err := d.installation(ctx)
	if err != nil {
		return fail(err, notChecked)
	}
	report := check.Run(ctx, site)
	site.Log.Close()
	print := report.WriteText
	if asJSON {
		print = report.WriteJSON
	}
	if err := print(os.Stdout); err != nil {
		return fail(err, notChecked)
	}
	return report.Status()
}

// installation gathers what the checks look at. A configuration that cannot be
// used is a finding, not an error.
func (d *authDriver) installation(ctx context.Context) (s check.Site, err error) {
	s.UID, s.Trust, s.Names = d.uid, d.trust(), d.names()
	if s.File, err = job.ParseAbsPath(d.Call.Configuration); err != nil {
		return s, err
	}
	if s.Own, err = programs.Own(); err != nil {
		return s, err
	}
	s.Fetcher, s.FetcherErr = d.keysProgram()
	if s.Err = d.configure(); s.Err != nil {
		return s, nil
	}
	if s.Helper, err = d.examineHelper(); err != nil {
		return s, err
	}
	s.Names = d.names()
	if s.Keys, s.Err = d.keySource(ctx); s.Err != nil {
		return s, nil
	}
	if s.Jacamar, err = d.JacamarPath(); err != nil {
		return s, err
	}
	// The check of the log tells what is wrong with it.
	s.Config, s.StateDir, s.Log = &d.Site, s.Keys.Dir(), d.openLog(ctx, func(error) {})
	s.LogFile = func() (*os.File, error) { return d.logFile(ctx) }
	s.Script, _ = d.runas()
	return s, nil
}
