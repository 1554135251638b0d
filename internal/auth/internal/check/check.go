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
	// Config is what the file says, nil when Err says why it cannot be used.
	Config *config.Config
	Err    error

	UID job.UID
	// Trust is whose files and programs jacamar-auth believes there.
	Trust trustedfile.Trust
	// Own is the program that runs, Jacamar the unprivileged half.
	Own, Jacamar job.AbsPath
	// Fetcher is jacamar-keys, and FetcherErr says why it is not trusted.
	Fetcher    job.AbsPath
	FetcherErr error
	StateDir   job.AbsPath
	// Helper is the account that helpers run as.
	Helper Helper
	Names  account.Names
	// Keys, Log and Script are nil, or zero, without a configuration.
	Keys *idtoken.Keys
	Log  auditlog.Log
	// LogFile opens the log where it is in a file.
	LogFile func() (*os.File, error)
	Script  runas.Script
}

// check is a named check. A check without a finding has nothing to say of this
// site.
type check struct {
	name string
	// configured checks need a configuration.
	configured bool
	run        func(context.Context, Site) []Line
}

var checks = []check{
	{"configuration", false, configuration},
	{"account", true, viewpoint},
	{"jacamar-auth", false, ownProgram},
	{"jacamar", true, jacamar},
	{"jacamar-keys", false, fetcher},
	{"privileges", true, privileges},
	{"SELinux", true, selinux},
	{"helper account", true, helper},
	{"user namespace", false, userNamespace},
	{"state directory", true, stateDirectory},
	{"CA file", true, caFile},
	{"key server", true, keyServer},
	{"name service", false, nameService},
	{"shadow", true, shadow},
	{"lists", true, lists},
	{"account map", true, accountMap},
	{"RunAs", true, runAs},
	{"shells", true, shells},
	{"data directory", true, dataDirectory},
	{"scheduler", true, scheduler},
	{"log", true, log},
	{"logins", true, logins},
	{"runner", false, runnerConfig},
}

// Run runs every check that the site has the means for.
func Run(ctx context.Context, s Site) Report {
	r := Report{Configuration: s.File.String()}
	if s.Config != nil {
		r.Name = s.Config.General.Name
	}
	for _, c := range checks {
		if c.configured && s.Config == nil {
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
			Fix: "correct the faults above and check again",
		})
	}
	r.Result = worst(r.Lines)
	return r
}

// or returns the faults, or a line that says that there are none.
func or(faults []Line, format string, args ...any) []Line {
	if len(faults) > 0 {
		return faults
	}
	return []Line{ok(format, args...)}
}
