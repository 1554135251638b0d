// Package check looks at an installation for its administrator: what would stop jobs,
// or let the wrong ones run, each with a suggested fix.
//
// Every check is a row of one table. Nothing is changed except that one record is
// written to the operator's log, and a check that fails leaves the others to run. With
// an account a job of its own is run as well, of which nothing is left.
package check

import (
	"context"
	"os"
	"strings"
	"time"

	"jacamar-ci/internal/auditlog"
	"jacamar-ci/internal/auth/admin/trial"
	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/runas"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// Site is the installation to look at.
type Site struct {
	File job.AbsPath
	// Config is what the file contains, nil when Err is why it cannot be used.
	Config *config.Config
	Err    error

	// UID is the account that runs jacamar-auth.
	UID job.UID
	// RunnerConfig is the runner's config.toml, "" for the usual one.
	RunnerConfig string
	// Trial runs a job as an account, nil where none was named.
	Trial *Trial
	// Closed reports that this process cannot look at what jacamar-auth keeps: it has
	// file capabilities, and this process is not root.
	Closed bool
	// Trust is whose files and programs jacamar-auth trusts.
	Trust trustedfile.Trust
	// Auth is jacamar-auth, Jacamar the unprivileged half.
	Auth, Jacamar job.AbsPath
	// Fetcher is jacamar-keys, and FetcherErr is why it is not trusted.
	Fetcher    job.AbsPath
	FetcherErr error
	StateDir   job.AbsPath
	// Helper is the account that helper programs run as.
	Helper account.Helper
	Names  account.Names
	// Keys, Log and Script are nil, or zero, without a configuration.
	Keys *idtoken.Keys
	Log  auditlog.Log
	// LogFile opens the log where it is in a file.
	LogFile func() (*os.File, error)
	Script  runas.Script
	// TryJournal opens the journal for writing, and TryKey reads the key that seals the
	// states of jobs.
	TryJournal, TryKey func(context.Context) error
}

// check is a named check. A check without a finding does not apply to this site.
type check struct {
	// id is stable; name is for people.
	id, name string
	needs    needs
	run      func(context.Context, Site) []Line
}

// needs is what a check cannot do without.
type needs int

const (
	nothing    needs = iota
	configured       // a configuration
	keeper           // and access to what jacamar-auth keeps
)

func (n needs) met(s Site) bool {
	return n == nothing || s.Config != nil && (n == configured || !s.Closed)
}

var checks = []check{
	{"configuration", "configuration", nothing, configuration},
	{"account", "account", configured, viewpoint},
	{"jacamar-auth", "jacamar-auth", nothing, authProgram},
	{"jacamar", "jacamar", configured, jacamar},
	{"jacamar-keys", "jacamar-keys", nothing, fetcher},
	{"privileges", "privileges", configured, privileges},
	{"selinux", "SELinux", configured, selinux},
	{"helper-account", "helper account", configured, helper},
	{"user-namespace", "user namespace", nothing, userNamespace},
	{"proc", "/proc", configured, processView},
	{"state-directory", "state directory", keeper, stateDirectory},
	{"ca-file", "CA file", configured, caFile},
	{"key-server", "key server", keeper, keyServer},
	{"name-service", "name service", nothing, nameService},
	{"shadow", "shadow", keeper, shadow},
	{"lists", "lists", configured, lists},
	{"account-map", "account map", configured, accountMap},
	{"runas", "RunAs", configured, runAs},
	{"shells", "shells", configured, shells},
	{"data-directory", "data directory", configured, dataDirectory},
	{"scheduler", "scheduler", configured, scheduler},
	{"containers", "containers", configured, containers},
	{"log", "log", keeper, log},
	{"journal", "journal", keeper, journal},
	{"logins", "logins", configured, logins},
	{"runner", "runner", nothing, runnerConfig},
	{"processors", "processors", nothing, processors},
	{"limits", "limits", nothing, limits},
	{"view", "directories of the runner", configured, view},
	{"trial", "trial", keeper, trialJob},
}

// Run runs every check that the site has the means for.
func Run(ctx context.Context, s Site) Report {
	r := Report{Configuration: s.File.String()}
	if s.Config != nil {
		r.Name = s.Config.General.Name
	}
	for _, c := range checks {
		if !c.needs.met(s) {
			continue
		}
		for _, l := range c.run(ctx, s) {
			l.ID, l.Check = c.id, c.name
			r.Lines = append(r.Lines, l)
		}
	}
	if s.Config == nil {
		r.Lines = append(r.Lines, Line{
			ID: "configuration", Check: "configuration", Result: Skip, Text: "the checks that need a configuration were left out: correct the errors above and check again",
		})
	}
	r.Result = worst(r.Lines)
	return r
}

// or returns the problems, or one line that there are none.
func or(faults []Line, format string, args ...any) []Line {
	if len(faults) > 0 {
		return faults
	}
	return []Line{ok(format, args...)}
}

// Trial runs a job of its own as the account that the administrator named; left is what
// could not be removed of it.
type Trial struct {
	Account string
	Run     func(context.Context) (r trial.Result, left, err error)
}

// trialJob is the check that does what a job does.
func trialJob(ctx context.Context, s Site) []Line {
	if s.Trial == nil {
		return nil
	}
	r, left, err := s.Trial.Run(ctx)
	return judgeTrial(s.Trial.Account, r, left, err)
}

func judgeTrial(account string, r trial.Result, left, err error) (lines []Line) {
	if left != nil {
		lines = append(lines, warn("remove it", "%v", left))
	}
	if err != nil {
		return append(lines, fail("correct that and check again", "no job of %s was tried: %v", account, err))
	}
	took := time.Duration(0)
	for _, s := range r.Stages {
		took += s.Took
		lines = append(lines, warned(account, s)...)
	}
	if s, failed := r.Failed(); failed {
		why, hint := s.Why()
		if hint == "" {
			hint = "run jacamar-admin selftest --account " + account + " for the whole log, and look the message up in docs/troubleshooting.md"
		}
		return append(lines, fail(hint, "a job of %s fails in %s: %s", account, s.Name, why))
	}
	return or(lines, "a job of %s ran through all stages as %s, in %s", account, job.Clip(r.Account), took.Round(10*time.Millisecond))
}

// warned are the warnings in the log of a stage.
func warned(account string, s trial.Stage) (lines []Line) {
	for line := range strings.Lines(s.Log) {
		if _, text, found := strings.Cut(line, "WARNING: "); found {
			lines = append(lines, warn(`look it up in docs/troubleshooting.md`, "a job of %s warns in %s: %s", account, s.Name, job.Clip(strings.TrimSpace(text))))
		}
	}
	return lines
}
