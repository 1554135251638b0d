// Package container builds the commands of container programs and parses their output. It
// is pure: it starts no process and accesses no file.
//
// A start is an engine's command in a Cell. The bootstrap runs inside the container as the
// parent of the script's shell and reports by marks how far the start came, so that the
// script's exit code does not depend on the engine or on the image's entrypoint.
package container

import (
	"strings"

	"jacamar-ci/internal/cell"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// Command is one call of a program. Its Env is in addition to PATH, HOME, USER and TMPDIR;
// it has no Dir.
type Command = scheduler.Command

// Reply is the result of a command.
type Reply = scheduler.Reply

// Format is how a fetched image is stored.
type Format string

// The formats.
const (
	Store     Format = "store"     // layers in a store of the engine, on a local disk
	Squashfs  Format = "squashfs"  // one file, on any file system
	SIF       Format = "sif"       // Apptainer's file, with a squashfs inside
	Directory Format = "directory" // an unpacked root file system
)

// Place is the location of a fetched image.
type Place struct {
	Form Format `json:"form"`
	// Path is the store's directory, the file, or the root file system. A file is to be
	// made in an existing directory, which has nothing else in it.
	Path job.AbsPath `json:"path"`
	// ID names the image inside a store; "" otherwise.
	ID string `json:"id,omitempty"`
}

// Account is the account that calls an engine, by the ids on the host.
type Account struct{ UID, GID uint32 }

// Session is specific to each call of an engine: State is a directory on a local disk,
// which contains everything that the call leaves behind. Its path is short: podman(1)
// refuses a runroot of more than 50 characters. Program is the engine's own program.
type Session struct {
	State   job.AbsPath
	Account Account
	Program string
	// Linked reports that State has the link Image: an engine reads what is there.
	Linked bool
}

// Image is the name in a session's State of a symbolic link to the Path of its Place: the
// options of overlay mounts are limited to a page, and a store's path may be long.
const Image = "image"

// Fetch is a request to fetch an image.
type Fetch struct {
	Session
	Reference image.Reference
	// Platform is os/architecture, "" for the host's.
	Platform string
	To       Place
	// Login is for the image's registry; AuthFD is a descriptor with its
	// containers-auth.json(5). Without one, Login is zero and AuthFD is 0.
	Login  image.Credential
	AuthFD int
	// CA is a file with the certificate authorities of the registry, zero for the
	// system's.
	CA job.AbsPath
}

// Described is what an engine prints about a fetched image.
type Described struct {
	Config image.Config
	// Digest is that of the image in the registry, ID the engine's own; "" where an engine
	// prints none.
	Digest, ID string
	// Size in bytes, 0 where the engine prints none.
	Size int64
	// Layers are the directories of an image in a store, the topmost first.
	Layers []string
	// Passwd and Group are the texts of the image's passwd(5) and group(5), where the
	// engine prints them; "" where they are in the layers.
	Passwd, Group string
}

// Bind is a bind mount of a path of the host in the container.
type Bind struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

// Volume is the mount as SOURCE:TARGET[:ro], which several engines read.
func (b Bind) Volume() string {
	if b.ReadOnly {
		return b.Source + ":" + b.Target + ":ro"
	}
	return b.Source + ":" + b.Target
}

// Start is one start of a container.
type Start struct {
	Session
	Place Place
	// Inner is the argv in the container: the entrypoint and the bootstrap.
	Inner []string
	// Config is the image's configuration. The engine applies its Env.
	Config image.Config
	// Env are NAME=value pairs in addition to the image's own.
	Env []string
	// PassEnv are names of variables, or beginnings of names with * behind them, whose
	// values the engine takes from its own environment: on a node of a batch system.
	PassEnv []string
	// IDs are the account's ids in the container.
	IDs     image.IDs
	WorkDir string
	Binds   []Bind
	// Options are those of the site and of the job, in this order.
	Options []string
	// Descriptors is how many descriptors from 3 on the container inherits.
	Descriptors int
}

// Engine is implemented by every container program. All methods are pure.
type Engine interface {
	// Name is the value of general.run_mechanism.
	Name() string
	// Formats are the formats that it can run, the best one first.
	Formats() []Format
	// Local are the formats of images on this host that it can run where they are.
	Local() []Format
	// Programs are those that must be installed to fetch and to run a format; the
	// first one is the engine's own, which general.<engine>.application_path replaces.
	Programs(Format) []string
	// Grammar has the options of a start that users and sites may give, and as reserved
	// ones those that are set here.
	Grammar() scheduler.Grammar
	// Version returns the command that prints the engine's version.
	Version(Session) Command
	// Fetch returns the commands, in order, that fetch an image to a place.
	Fetch(Fetch) []Command
	// Describe returns the command that prints an image's configuration, and Parse parses
	// its reply.
	Describe(Session, Place, image.Reference) Command
	Parse(Reply) (Described, error)
	// Run returns the engine's own command for a start, without the cell.
	Run(Start) Command
	// Helpers are names of processes (comm in proc(5)) that serve a running container and
	// must outlive its script: a request to stop must not end them.
	Helpers() []string
	// Fault classifies an end before the start of the script, by the engine's exit code:
	// Build where the image or the job's options are the reason, System otherwise.
	Fault(code int) failure.Kind
}

// NewGrammar returns the grammar of a start: flags may have a value, in the same word, and
// values have one. The engine itself sets the reserved ones.
func NewGrammar(reservedFlags, reservedValues, flags, values string) (g scheduler.Grammar) {
	g.Reserve(scheduler.Optional, reservedFlags)
	g.Reserve(scheduler.Required, reservedValues)
	g.Add(scheduler.Optional, flags)
	g.Add(scheduler.Required, values)
	return g
}

// Version returns the version in the output of a program: the first word that begins with
// a digit, "" where there is none.
func Version(output string) string {
	for word := range strings.FieldsSeq(job.Shorten(output, maxReason)) {
		if word[0] >= '0' && word[0] <= '9' {
			return job.Printable(strings.TrimRight(word, ",;"))
		}
	}
	return ""
}

// Cell is cell.Cell for commands with an environment.
type Cell struct{ cell.Cell }

// Wrap returns the command that runs inner in the cell.
func (c Cell) Wrap(inner Command) Command {
	return Command{Argv: c.Argv(inner.Argv), Env: inner.Env}
}
