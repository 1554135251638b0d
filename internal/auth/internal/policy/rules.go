package policy

import (
	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
	"jacamar-ci/internal/settings"
)

// Rules are the site's configuration. The zero value refuses every job.
type Rules struct {
	// Source is where the account's name comes from. settings.UserLogin is safe only if
	// users cannot rename themselves at GitLab; the others do not depend on the name.
	Source settings.AccountSource
	// Provider is the name of the identity provider, for settings.ExternUID.
	Provider string
	// Map gives the account of a GitLab user, for settings.Map.
	Map map[job.ID]job.Username
	// AllowBots accepts bots and service accounts of GitLab whose account the map
	// or a RunAs script names.
	AllowBots bool

	UserAllow  List
	UserBlock  []string
	GroupAllow List
	GroupBlock []string
	// PreValidation also checks these four before RunAs.
	PreValidation bool

	ShellAllow     List
	PipelineSource List
	ProjectAllow   Globs
	ProjectBlock   []glob.Pattern
	ProtectedRefs  bool
	Nologin        bool
	// RequireShadow refuses an account if it is not known whether it is locked or
	// expired.
	RequireShadow bool
	MinUID        job.UID
	// Helper is the account that is reserved for jacamar-auth.
	Helper job.Username
	// RunAsService is downscope = "none": jobs run as the service account.
	RunAsService bool
}

// List is an allowlist. An empty one that is set allows no entry; one that is not set
// is not checked.
type List struct {
	Set     bool
	Entries []string
}

// active returns the entries of a list that is set.
func (l List) active() []string {
	if !l.Set {
		return nil
	}
	return l.Entries
}

// Globs is an allowlist of globs.
type Globs struct {
	Set     bool
	Entries []glob.Pattern
}

// Facts are the facts about the account that the job would get.
type Facts struct {
	Account job.Account
	Groups  Groups
	Aging   passwd.Aging
	// Owner is the name that the name services have for the account's user id.
	Owner job.Username
	// Shells are the login shells of the machine, /etc/shells.
	Shells []job.AbsPath
	// LoginsOff reports whether /etc/nologin or /run/nologin exists.
	LoginsOff bool
	// Service is the user id of the runner's own account.
	Service job.UID
}
