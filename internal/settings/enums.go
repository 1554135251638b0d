package settings

import (
	"fmt"

	"jacamar-ci/internal/executors"
	"jacamar-ci/internal/job"
)

// Executor is what runs the job's script: the name of one of the package executors.
type Executor string

// Shell is the executor without a batch system.
const Shell Executor = executors.Shell

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Executor) UnmarshalText(b []byte) error {
	var known []Spelling[Executor]
	for _, row := range executors.All() {
		for _, name := range append([]string{row.Name}, row.Aliases...) {
			known = append(known, Spelling[Executor]{name, Executor(row.Name)})
		}
	}
	return Pick(e, b, known)
}

// Downscope is how the job's account is reached.
type Downscope string

// The ways to reach the account. There is no fallback between them.
const (
	Setuid Downscope = "setuid" // by the privileges of jacamar-auth itself
	Sudo   Downscope = "sudo"   // by sudo(8)
	None   Downscope = "none"   // not at all: jobs run as the service account
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Downscope) UnmarshalText(b []byte) error {
	return Pick(d, b, []Spelling[Downscope]{{"setuid", Setuid}, {"sudo", Sudo}, {"none", None}})
}

// LoginShells is how often the shells of a job read the login profiles.
type LoginShells string

// The choices of [general] login_shells.
const (
	LoginPerJob   LoginShells = "job"   // once for all scripts of the runner's own
	LoginPerStage LoginShells = "stage" // for every script
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *LoginShells) UnmarshalText(b []byte) error {
	return Pick(l, b, []Spelling[LoginShells]{{"job", LoginPerJob}, {"stage", LoginPerStage}})
}

// OncePerJob reports whether scripts of the runner's own share a login.
func (l LoginShells) OncePerJob() bool { return l == LoginPerJob }

// AccountSource is where the name of the local account comes from.
type AccountSource string

// The sources of the account's name.
const (
	UserLogin AccountSource = "user_login" // the GitLab login
	ExternUID AccountSource = "extern_uid" // the identity that account_provider has
	Map       AccountSource = "map"        // the file account_map, by GitLab user id
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *AccountSource) UnmarshalText(b []byte) error {
	return Pick(a, b, []Spelling[AccountSource]{{"user_login", UserLogin}, {"extern_uid", ExternUID}, {"map", Map}})
}

// Spelling is one way to write a value of an enumeration.
type Spelling[T ~string] struct {
	Text  string
	Value T
}

// Pick sets to to the value that text is a spelling of.
func Pick[T ~string](to *T, text []byte, from []Spelling[T]) error {
	known := make([]string, 0, len(from))
	for _, s := range from {
		if s.Text == string(text) {
			*to = s.Value
			return nil
		}
		known = append(known, fmt.Sprintf("%q", s.Text))
	}
	return fmt.Errorf("%q is not known: write %s", job.Clip(string(text)), job.Either(known))
}
