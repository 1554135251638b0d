package admin

import (
	"context"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/auth/admin/check"
	"jacamar-ci/internal/auth/admin/trial"
	"jacamar-ci/internal/job"
)

// notChecked is the exit status that monitoring plugins use for unknown.
const notChecked = 3

// CheckOptions are what the command line of check gives.
type CheckOptions struct {
	Configuration string
	// RunnerConfig is the runner's config.toml, "" for the usual one.
	RunnerConfig string
	// Account is the account as which a job is tried, "" for none, and Limit bounds each
	// of its stages.
	Account string
	Limit   time.Duration
	JSON    bool
}

// Check looks at the installation and prints what it finds. The exit status is 0
// when all is well, 1 with warnings, 2 with failures, 3 when it could not look.
func Check(o CheckOptions) int {
	ctx, end := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer end()
	report, style, err := report(ctx, o)
	if err != nil {
		return fail(err, notChecked)
	}
	print := func(w io.Writer) error { return report.WriteText(w, style) }
	if o.JSON {
		print = report.WriteJSON
	}
	if err := print(os.Stdout); err != nil {
		return fail(err, notChecked)
	}
	return report.Status()
}

// columns is the width of a terminal, 0 for another file.
func columns(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return max(int(size.Col), 1)
}

func report(ctx context.Context, o CheckOptions) (r check.Report, style check.Style, err error) {
	v, err := view()
	if err != nil {
		return r, style, err
	}
	i, err := open(o.Configuration, &o.Configuration, &o.RunnerConfig)
	if err != nil {
		return r, style, err
	}
	s := check.Site{Closed: v.Closed, RunnerConfig: o.RunnerConfig}
	if s.File, err = job.ParseAbsPath(o.Configuration); err != nil {
		return r, style, err
	}
	if err := gather(ctx, i, &s); err != nil {
		return r, style, err
	}
	defer s.Log.Close()
	if o.Account != "" {
		s.Trial = &check.Trial{Account: o.Account, Run: func(ctx context.Context) (trial.Result, error, error) {
			return runTrial(ctx, i, trialOptions{o.Account, o.Limit, func(trial.Stage) {}})
		}}
	}
	return check.Run(ctx, s), check.StyleOf(columns(os.Stdout), i.Environ()), nil
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
	s.Helper, s.Names = helper, i.Names()
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
	s.TryJournal, s.TryKey = i.TryJournal, i.TryKey
	return nil
}
