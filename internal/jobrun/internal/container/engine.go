// Package container describes how container programs are called: an engine is a
// table and a few pure functions, as a batch system is. Nothing here starts a
// process or touches a file.
package container

import (
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
)

// Command is one call of a program: its argv, with the bare program name first, and
// environment pairs that it needs beyond PATH, HOME and USER.
type Command struct {
	Argv []string
	Env  []string
}

// Reply is what a command printed and how it ended.
type Reply struct {
	Stdout, Stderr string
	Code           int
}

// Form is how a fetched image is kept.
type Form string

// The forms.
const (
	Store     Form = "store"     // layers in a store of the engine's, on a local disk
	Squashfs  Form = "squashfs"  // one file, which any file system can hold
	SIF       Form = "sif"       // Apptainer's file, with a squashfs inside
	Directory Form = "directory" // an unpacked root file system
)

// Place is where a fetched image is.
type Place struct {
	Form Form
	// Path is the store's directory, the file, or the root file system.
	Path job.AbsPath
	// Reference names the image inside a store, by its digest; zero otherwise.
	Reference image.Reference
}

// Account is who calls an engine, by the ids on the host.
type Account struct{ UID, GID uint32 }

// Session is what each call of an engine has of its own: a directory on a local disk,
// which holds everything that the call leaves behind.
type Session struct {
	State   job.AbsPath
	Account Account
}

// Fetch asks for an image to be brought to a place.
type Fetch struct {
	Session
	Reference image.Reference
	To        Place
	// Login is for the image's registry; AuthFD is a descriptor with its
	// containers-auth.json(5). Without one, Login is zero and AuthFD is 0.
	Login  image.Credential
	AuthFD int
	// CA is a file with the authorities of the registry, zero for the system's.
	CA job.AbsPath
}

// Bind is a path of the host at a path in the container.
type Bind struct {
	Source, Target string
	ReadOnly       bool
}

// Start is one start of a container.
type Start struct {
	Session
	Place Place
	// Inner is the argv inside: the entrypoint and the bootstrap.
	Inner []string
	// Env are NAME=value pairs for the inside, beyond the image's own.
	Env []string
	// UID and GID are the ids inside that stand for the account.
	UID, GID uint32
	WorkDir  string
	Binds    []Bind
	// Options are those of the site and of the job, in this order.
	Options []string
	// Descriptors is how many descriptors from 3 on go inside.
	Descriptors int
}

// Engine is what every container program gives. All of it is pure.
type Engine interface {
	// Name is the word of general.run_mechanism.
	Name() string
	// Forms are the forms that it can run from, the best one first.
	Forms() []Form
	// Programs are those that must be installed to fetch to a form and to run from it.
	Programs(Form) []string
	// Fetch returns the commands, in order, that bring an image to a place.
	Fetch(Fetch) []Command
	// Describe returns the command that prints an image's configuration, and Parse
	// reads its reply: the configuration and the digest, "" where the form has none.
	Describe(Session, Place) Command
	Parse(Reply) (image.Config, string, error)
	// Run returns the engine's own command for a start, without the cell.
	Run(Start) Command
	// Helpers are names of processes (comm in proc(5)) that serve a running
	// container and must outlive its script: a request to stop must spare them.
	Helpers() []string
	// Fault classifies an end before the script began, by the engine's exit code:
	// Build where the image or the job's options are the reason, System otherwise.
	Fault(code int) failure.Kind
}
