// Package check looks at an installation for its administrator: what would stop jobs,
// or let the wrong ones run, each with a suggested fix.
//
// Every check is a row of one table. Nothing is changed except that one record is
// written to the operator's log, and a check that fails leaves the others to run.
package check

import (
	"context"
	"os"

	"jacamar-ci/internal/auditlog"
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
	Helper Helper
	Names  account.Names
	// Keys, Log and Script are nil, or zero, without a configuration.
	Keys *idtoken.Keys
	Log  auditlog.Log
	// LogFile opens the log where it is in a file.
	LogFile func() (*os.File, error)
	Script  runas.Script
	// TryJournal opens the journal for writing.
	TryJournal func(context.Context) error
}

// check is a named check. A check without a finding does not apply to this site.
type check struct {
	name  string
	needs needs
	run   func(context.Context, Site) []Line
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
	{"configuration", nothing, configuration},
	{"account", configured, viewpoint},
	{"jacamar-auth", nothing, authProgram},
	{"jacamar", configured, jacamar},
	{"jacamar-keys", nothing, fetcher},
	{"privileges", configured, privileges},
	{"SELinux", configured, selinux},
	{"helper account", configured, helper},
	{"user namespace", nothing, userNamespace},
	{"/proc", configured, processView},
	{"state directory", keeper, stateDirectory},
	{"CA file", configured, caFile},
	{"key server", keeper, keyServer},
	{"name service", nothing, nameService},
	{"shadow", keeper, shadow},
	{"lists", configured, lists},
	{"account map", configured, accountMap},
	{"RunAs", configured, runAs},
	{"shells", configured, shells},
	{"data directory", configured, dataDirectory},
	{"scheduler", configured, scheduler},
	{"log", keeper, log},
	{"journal", keeper, journal},
	{"logins", configured, logins},
	{"runner", nothing, runnerConfig},
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
			l.Check = c.name
			r.Lines = append(r.Lines, l)
		}
	}
	if s.Config == nil {
		r.Lines = append(r.Lines, Line{
			Check: "configuration", Result: Fail, Text: "the checks that need a configuration were left out",
			Fix: "correct the errors above and check again",
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
