package policy

import "jacamar-ci/internal/job"

// Rules are the site's configuration. The zero value refuses every job.
type Rules struct {
	Source Source
	// Provider is the name of the identity provider, for ExternUID.
	Provider string
	// Map gives the account of a GitLab user, for Mapped.
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
	ProjectBlock   []Glob
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

// Source is where the name of the account comes from.
type Source string

// The sources of an account's name. UserLogin is safe only if users cannot rename
// themselves at GitLab; the other two do not depend on the name.
const (
	UserLogin Source = "user_login"
	ExternUID Source = "extern_uid"
	Mapped    Source = "map"
)

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
	Entries []Glob
}

// Facts are the facts about the account that the job would get.
type Facts struct {
	Account job.Account
	Groups  Groups
	Aging   Aging
	// Owner is the name that the name services have for the account's user id.
	Owner job.Username
	// Shells are the login shells of the machine, /etc/shells.
	Shells []job.AbsPath
	// LoginsOff reports whether /etc/nologin or /run/nologin exists.
	LoginsOff bool
	// Service is the user id of the runner's own account.
	Service job.UID
}

// Aging is the state of the account's shadow entry. Without Known the other fields
// have no meaning.
type Aging struct {
	Known   bool
	Locked  bool
	Expired bool
}
