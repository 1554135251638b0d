package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/auth/admin/trial"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// tokenLife is how long the token of a trial is valid: a batch system may let the job
// wait.
const tokenLife = 6 * time.Hour

// trialRun is a trial of an installation, and the account of its job.
type trialRun struct {
	site    auth.Installation
	trial   trial.Trial
	account job.Account
}

// trialOptions are the account of the job, and how to run it.
type trialOptions struct {
	account string
	limit   time.Duration
	ended   func(trial.Stage)
}

// runTrial runs a trial as an account and removes what it made. left is the error of
// what could not be removed.
func runTrial(ctx context.Context, i auth.Installation, o trialOptions) (r trial.Result, left, err error) {
	h, err := newTrialRun(ctx, i, o.account)
	if err != nil {
		return r, nil, err
	}
	h.trial.Limit, h.trial.Ended = o.limit, o.ended
	defer func() { left = errors.Join(left, h.trial.Dir.Remove()) }()
	if err := h.configure(ctx); err != nil {
		return r, nil, err
	}
	r, err = h.trial.Run(ctx)
	return r, h.remove(context.WithoutCancel(ctx), r), err
}

func newTrialRun(ctx context.Context, i auth.Installation, login string) (h trialRun, err error) {
	h.site = i
	if h.trial.Auth, err = privilegedProgram(); err != nil {
		return h, err
	}
	name, err := job.ParseUsername(login)
	if err != nil {
		return h, err
	}
	if h.account, err = h.runsAs(ctx, name); err != nil {
		return h, err
	}
	if h.trial.Service, err = runnersService(ctx, i); err != nil {
		return h, err
	}
	give := uid() == 0
	if give && h.trial.Service.UID != 0 {
		h.trial.ServiceIDs = thread.Of(h.trial.Service)
	}
	user, err := userOf(i, name)
	if err != nil {
		return h, err
	}
	if h.trial.Minted, err = trial.Mint(user, time.Now(), tokenLife); err != nil {
		return h, err
	}
	h.trial.Variable = string(i.Config().General.JWTEnvVariable)
	state, err := stateOwner(ctx, i, h.trial.Service)
	if err != nil {
		return h, err
	}
	h.trial.Dir, err = trial.NewDir(trialParent(h.trial.Service), trial.Owners{Service: h.trial.Service, State: state, Give: give})
	return h, err
}

// runsAs is the account that the job's script will have.
func (h trialRun) runsAs(ctx context.Context, login job.Username) (job.Account, error) {
	if h.site.Config().Auth.Downscope == settings.None {
		return runnersService(ctx, h.site)
	}
	return h.site.Names().Lookup(ctx, login)
}

// runnersService is the account that runs jacamar-auth.
func runnersService(ctx context.Context, i auth.Installation) (job.Account, error) {
	switch {
	case i.UID() != 0 || uid() != 0:
		return i.Names().ByUID(ctx, i.UID())
	case i.Config().Auth.Downscope == settings.Setuid:
		return i.Names().ByUID(ctx, 0)
	}
	a, err := ownerOfState(ctx, i)
	if err != nil || a.UID == 0 {
		a, err = serviceOfFile(ctx, i, i.File())
	}
	if err == nil && a.UID == 0 {
		err = errors.New("cannot find the account of the runner's service, which has neither the state directory nor the configuration: run this as that account")
	}
	return a, err
}

// ownerOfState is the account that has the state directory, which is the service's where
// jacamar-auth has no rights of its own.
func ownerOfState(ctx context.Context, i auth.Installation) (job.Account, error) {
	keys, err := i.Keys(ctx)
	if err != nil {
		return job.Account{}, err
	}
	var info unix.Stat_t
	if err := unix.Stat(keys.Dir().String(), &info); err != nil {
		return job.Account{}, err
	}
	return i.Names().ByUID(ctx, job.UID(info.Uid))
}

// stateOwner has the state directory of jacamar-auth.
func stateOwner(ctx context.Context, i auth.Installation, service job.Account) (job.Account, error) {
	h, err := i.ExamineHelper()
	if err != nil || !h.Required {
		return service, err
	}
	return i.Names().Lookup(ctx, h.Name)
}

// trialParent is a directory that only root can write, or the service's home.
func trialParent(service job.Account) job.AbsPath {
	if uid() != 0 {
		return service.Home
	}
	run, _ := job.ParseAbsPath("/run")
	return run
}

// userNamed is a user of GitLab whose login, or other identity, is that name. The number is
// a placeholder.
func userNamed(i auth.Installation, name string) trial.User {
	u := trial.User{ID: 1, Login: name}
	if a := i.Config().Auth; a.AccountSource == settings.ExternUID {
		u.Provider, u.ExternUID = a.AccountProvider, name
	}
	return u
}

// userOf is a user of GitLab whose jobs get the account of that login.
func userOf(i auth.Installation, login job.Username) (trial.User, error) {
	u, a := userNamed(i, login.String()), i.Config().Auth
	if a.AccountSource != settings.Map {
		return u, nil
	}
	rules, err := i.Rules()
	if err != nil {
		return u, err
	}
	for id, name := range rules.Map {
		if name == login {
			u.ID = id
			return u, nil
		}
	}
	return u, fmt.Errorf("the account map %s has no user for the account %s", a.AccountMap, login)
}

// configure writes the trial's configuration and puts the private issuer's keys where
// jacamar-auth looks for them.
func (h trialRun) configure(ctx context.Context) error {
	original, err := readFile(h.site.File().String())
	if err != nil {
		return err
	}
	text, err := trial.Configuration(string(original), h.trial.Dir.State())
	if err != nil {
		return err
	}
	if err := h.trial.Dir.Configure(text); err != nil {
		return err
	}
	private, err := openWhole(h.trial.Dir.Configuration())
	if err != nil {
		return err
	}
	keys, err := private.Keys(ctx)
	if err != nil {
		return err
	}
	return keys.Keep(h.trial.Minted.KeySet, time.Now())
}

// remove removes what a job leaves for the next one.
func (h trialRun) remove(ctx context.Context, r trial.Result) error {
	if r.Builds.IsZero() {
		return nil
	}
	remains, ok := trial.RemainsOf(r.Builds, r.Began)
	if !ok {
		return fmt.Errorf("%s is left", r.Builds)
	}
	switch {
	case h.account.UID == uid():
		return remains.Remove(ctx, nil)
	case uid() != 0:
		return fmt.Errorf("%s of %s is left: only root and that account can remove it", remains, h.account.Name)
	}
	return remains.Remove(ctx, thread.Of(h.account))
}

// SelfTestOptions are what the command line of selftest gives.
type SelfTestOptions struct {
	Configuration, Account string
	// Limit bounds each stage: a batch system may let the job wait.
	Limit time.Duration
	// Verbose prints what every stage prints for the job's log.
	Verbose bool
}

// The exit statuses of SelfTest.
const (
	trialPassed = 0
	trialFailed = 1
	trialNotRun = 2
)

// SelfTest runs a job of its own through all stages as an account, and prints how each
// ended.
func SelfTest(o SelfTestOptions) int {
	if err := refuseClosed(); err != nil {
		return fail(err, trialNotRun)
	}
	i, err := openLoaded(o.Configuration, &o.Configuration)
	if err != nil {
		return fail(err, trialNotRun)
	}
	ctx, end := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer end()
	r, left, err := runTrial(ctx, i, trialOptions{o.Account, o.Limit, func(s trial.Stage) { printStage(os.Stdout, s, o.Verbose) }})
	if left != nil {
		fmt.Fprintln(os.Stderr, "jacamar-admin:", left)
	}
	if err != nil {
		return fail(err, trialNotRun)
	}
	return sumUp(os.Stdout, r, left == nil)
}

// printStage prints how a stage ended, and its log where it failed.
func printStage(w io.Writer, s trial.Stage, verbose bool) {
	result := "ok  "
	if !s.OK() {
		result = "fail"
	}
	fmt.Fprintf(w, "%s  %-22s  %s\n", result, s.Name, s.Took.Round(time.Millisecond))
	if s.Err != nil {
		fmt.Fprintf(w, "      %s\n", job.Printable(s.Err.Error()))
	}
	if verbose || !s.OK() {
		for line := range strings.Lines(s.Log) {
			fmt.Fprintf(w, "      %s\n", job.Printable(strings.TrimRight(line, "\n")))
		}
	}
}

func sumUp(w io.Writer, r trial.Result, clean bool) int {
	if s, failed := r.Failed(); failed {
		fmt.Fprintf(w, "a job fails in %s\n", s.Name)
		return trialFailed
	}
	rest := "nothing of it is left"
	if !clean {
		rest = "something of it is left"
	}
	fmt.Fprintf(w, "a job ran as %s through all stages; %s\n", job.Printable(r.Account), rest)
	if !clean {
		return trialFailed
	}
	return trialPassed
}
