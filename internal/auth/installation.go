package auth

import (
	"context"
	"os"
	"time"

	"jacamar-ci/internal/auditlog"
	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/runas"
	"jacamar-ci/internal/auth/internal/state"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/lockdown"
	"jacamar-ci/internal/trustedfile"
)

// View is whose jacamar-auth an Installation stands for.
type View struct {
	// UID is the account that runs jacamar-auth.
	UID job.UID
	// Privileged reports that jacamar-auth can change to accounts that UID cannot, as
	// with file capabilities.
	Privileged bool
	// Closed reports that this process has fewer rights than that jacamar-auth: what
	// the helper account keeps cannot be looked at.
	Closed bool
}

// Installation gives jacamar-admin the functions that a job's stage uses, so that
// what it reports is what happens to a job.
type Installation struct {
	d       *authDriver
	environ []string
}

// Open locks this process down and returns the installation of a configuration file,
// which Load reads. The path must be absolute.
func Open(configuration string, v View) (Installation, error) {
	inherited, err := lockdown.Enter()
	if err != nil {
		return Installation{}, err
	}
	return Installation{environ: inherited.Environ, d: &authDriver{
		Session: driver.Session{
			Call:   driver.Call{Stage: job.Config, Configuration: configuration, Unobfuscated: true},
			Stdout: os.Stdout, Stderr: os.Stderr, Started: time.Now(),
		},
		service: service{uid: v.UID, powers: v.Privileged, administers: true, closed: v.Closed},
	}}, nil
}

// Environ is the caller's environment, which this process no longer has. It decides
// nothing but how a terminal is written to.
func (i Installation) Environ() []string { return i.environ }

// Load reads the configuration.
func (i Installation) Load() error { return i.d.configure() }

// Config is what Load read.
func (i Installation) Config() *config.Config { return &i.d.Site }

// File is the path that Load read.
func (i Installation) File() job.AbsPath { return i.d.File }

// UID is the account that runs jacamar-auth.
func (i Installation) UID() job.UID { return i.d.uid }

// Trust is whose files and programs jacamar-auth trusts.
func (i Installation) Trust() trustedfile.Trust { return i.d.trust() }

// Names are the name services, queried as jacamar-auth queries them.
func (i Installation) Names() account.Names { return i.d.names() }

// KeysProgram is jacamar-keys, or why jacamar-auth refuses to start it.
func (i Installation) KeysProgram() (job.AbsPath, error) { return i.d.keysProgram() }

// JacamarPath is the jacamar that jobs start, which is not judged here.
func (i Installation) JacamarPath() (job.AbsPath, error) { return i.d.JacamarPath() }

// RunAs is the site's validation script; ok is false where it has none.
func (i Installation) RunAs() (s runas.Script, ok bool) { return i.d.runas() }

// Keys are GitLab's, as jacamar-auth keeps and fetches them.
func (i Installation) Keys(ctx context.Context) (*idtoken.Keys, error) { return i.d.keySource(ctx) }

// OpenLog opens the operator's log. lost receives the error of the first
// record that cannot be written.
func (i Installation) OpenLog(ctx context.Context, lost func(error)) auditlog.Log {
	i.d.log = i.d.openLog(ctx, lost)
	return i.d.log
}

// InJournal runs f on the journal's directory, as the account that has it.
func (i Installation) InJournal(ctx context.Context, f func(dir job.AbsPath) error) error {
	return i.d.inJournal(ctx, f)
}

// TryJournal opens this host's part of the journal for writing, as a stage does.
func (i Installation) TryJournal(ctx context.Context) error {
	return i.d.inHostJournal(ctx, (*journal.Journal).Check)
}

// TryKey reads the key that seals the states of jobs, as a stage does.
func (i Installation) TryKey(ctx context.Context) error {
	dir, err := i.d.stateDir(ctx)
	if err != nil {
		return err
	}
	return state.CheckKey(dir)
}

// LogFile opens the log of a site that has it in a file.
func (i Installation) LogFile(ctx context.Context) (*os.File, error) { return i.d.logFile(ctx) }

// FindHelper finds the helper account, or returns why no job can run without it.
func (i Installation) FindHelper() error { return i.d.findHelper() }

// ExamineHelper is FindHelper with a fault as a result, not as an error.
func (i Installation) ExamineHelper() (account.Helper, error) { return i.d.examineHelper() }

// SetJob sets the job that a token must be for, as the runner's job response has it.
func (i Installation) SetJob(r customexec.Response) { i.d.Facts = r }

// ExpectedClaims is what the token must say of that job.
func (i Installation) ExpectedClaims() claims.Expected { return expected(i.d.Facts) }

// TokenRules are the rules for the token in the config stage.
func (i Installation) TokenRules() idtoken.Rules { return i.d.tokenRules() }

// SetIdentity sets who the token is about.
func (i Installation) SetIdentity(id claims.Identity) { i.d.id = id }

// NamedImage is what that job names as its image.
func (i Installation) NamedImage() (image.Wish, error) {
	facts, err := i.d.Facts.Containers()
	return facts.Image, err
}

// ChooseImage decides about an image and modules for the identified job, as a stage of the
// job does.
func (i Installation) ChooseImage(named image.Wish, modules string, account job.Username) (driver.ImageChoice, error) {
	return i.d.ChooseImage(named, modules, func(r config.Matcher) (bool, error) { return matches(r, i.d.id, account), nil })
}

// Rules are the site's rules.
func (i Installation) Rules() (policy.Rules, error) { return i.d.rules() }

// Facts are what the name services report about the account of a login.
func (i Installation) Facts(ctx context.Context, login job.Username, r policy.Rules) (policy.Facts, error) {
	return i.d.lookUp(ctx, login, r)
}

// GroupsOf compares the groups of a login with the lists of the rules.
func (i Installation) GroupsOf(ctx context.Context, login job.Username, r policy.Rules) (policy.Groups, error) {
	return i.d.groupsOf(ctx, login, r)
}

// Validate runs the site's validation script and returns the candidate that follows
// from its answer.
func (i Installation) Validate(ctx context.Context, s runas.Script, c policy.Candidate, target job.Username) (policy.Candidate, error) {
	answer, err := i.d.queryScript(ctx, s, c, target)
	if err != nil {
		return policy.Candidate{}, err
	}
	return apply(answer, c, true)
}
