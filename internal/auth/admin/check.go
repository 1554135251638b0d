package admin

import (
	"context"
	"os"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/auth/admin/check"
	"jacamar-ci/internal/job"
)

// notChecked is the exit status that monitoring plugins use for unknown.
const notChecked = 3

// Check looks at the installation and prints what it finds. The exit status is 0
// when all is well, 1 with warnings, 2 with failures, 3 when it could not look.
func Check(configuration string, asJSON bool) int {
	report, err := report(context.Background(), configuration)
	if err != nil {
		return fail(err, notChecked)
	}
	print := report.WriteText
	if asJSON {
		print = report.WriteJSON
	}
	if err := print(os.Stdout); err != nil {
		return fail(err, notChecked)
	}
	return report.Status()
}

func report(ctx context.Context, configuration string) (check.Report, error) {
	v, err := view()
	if err != nil {
		return check.Report{}, err
	}
	i, err := open(configuration, &configuration)
	if err != nil {
		return check.Report{}, err
	}
	s := check.Site{Closed: v.Closed}
	if s.File, err = job.ParseAbsPath(configuration); err != nil {
		return check.Report{}, err
	}
	if err := gather(ctx, i, &s); err != nil {
		return check.Report{}, err
	}
	defer s.Log.Close()
	return check.Run(ctx, s), nil
}

// gather collects what the checks look at. A configuration that cannot be used is a
// finding, not an error.
func gather(ctx context.Context, i auth.Installation, s *check.Site) (err error) {
	s.UID, s.Trust, s.Names = i.UID(), i.Trust(), i.Names()
	if s.Auth, err = privilegedProgram(); err != nil {
		return err
	}
	s.Fetcher, s.FetcherErr = i.KeysProgram()
	if s.Err = i.Load(); s.Err != nil {
		return nil
	}
	helper, err := i.ExamineHelper()
	if err != nil {
		return err
	}
	s.Helper, s.Names = check.Helper(helper), i.Names()
	if s.Keys, s.Err = i.Keys(ctx); s.Err != nil {
		return nil
	}
	if s.Jacamar, err = i.JacamarPath(); err != nil {
		return err
	}
	// The check of the log reports what is wrong with it.
	s.Config, s.StateDir, s.Log = i.Config(), s.Keys.Dir(), i.OpenLog(ctx, func(error) {})
	s.LogFile = func() (*os.File, error) { return i.LogFile(ctx) }
	s.Script, _ = i.RunAs()
	s.TryJournal = i.TryJournal
	return nil
}
