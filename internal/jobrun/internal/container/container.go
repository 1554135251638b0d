// Package container builds the commands of container programs and parses their output. It
// is pure: it starts no process and accesses no file.
package container

import (
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
)

// Command is one call of a program: its argv, which begins with the program's name without
// a directory, and environment variables in addition to PATH, HOME and USER.
type Command struct {
	Argv []string
	Env  []string
}

// Reply is the output and the exit code of a command.
type Reply struct {
	Stdout, Stderr string
	Code           int
}

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
	Form Format
	// Path is the store's directory, the file, or the root file system.
	Path job.AbsPath
	// Reference names the image inside a store, by its digest; zero otherwise.
	Reference image.Reference
}

// Account is the account that calls an engine, by the ids on the host.
type Account struct{ UID, GID uint32 }

// Session is specific to each call of an engine: State is a directory on a local disk,
// which contains everything that the call leaves behind.
type Session struct {
	State   job.AbsPath
	Account Account
}

// Fetch is a request to fetch an image.
type Fetch struct {
	Session
	Reference image.Reference
	To        Place
	// Login is for the image's registry; AuthFD is a descriptor with its
	// containers-auth.json(5). Without one, Login is zero and AuthFD is 0.
	Login  image.Credential
	AuthFD int
	// CA is a file with the certificate authorities of the registry, zero for the
	// system's.
	CA job.AbsPath
}

// Bind is a bind mount of a path of the host in the container.
type Bind struct {
	Source, Target string
	ReadOnly       bool
}

// Start is one start of a container.
type Start struct {
	Session
	Place Place
	// Inner is the argv in the container: the entrypoint and the bootstrap.
	Inner []string
	// Env are NAME=value pairs in addition to the image's own.
	Env []string
	// UID and GID are the account's ids in the container.
	UID, GID uint32
	WorkDir  string
	Binds    []Bind
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
	// Programs are those that must be installed to fetch and to run a format.
	Programs(Format) []string
	// Fetch returns the commands, in order, that fetch an image to a place.
	Fetch(Fetch) []Command
	// Describe returns the command that prints an image's configuration, and Parse parses
	// its reply: the configuration and the digest, "" where the format has none.
	Describe(Session, Place) Command
	Parse(Reply) (image.Config, string, error)
	// Run returns the engine's own command for a start, without the sandbox.
	Run(Start) Command
	// Helpers are names of processes (comm in proc(5)) that serve a running container and
	// must outlive its script: a request to stop must not end them.
	Helpers() []string
	// Fault classifies an end before the start of the script, by the engine's exit code:
	// Build where the image or the job's options are the reason, System otherwise.
	Fault(code int) failure.Kind
}

// Descriptors in a container, in addition to 0 to 2.
const (
	ScriptFD = 3 // the script, from its start
	ReadyFD  = 4 // receives EnteredByte when the container runs
	// InnerDescriptors is how many there are from 3 on.
	InnerDescriptors = 2
)

// EnteredByte is what the bootstrap writes once it runs inside the container.
const EnteredByte = 'c'

// NoShellCode is the exit code of the bootstrap when the image has no shell. It is that of
// a shell for a command that does not exist (POSIX, Shell Command Language 2.8.2).
const NoShellCode = 127

// shells are the paths that GitLab Runner's docker executor tries, in its order
// (shells/bash.go, BashDetectShellScript).
var shells = []string{
	"/usr/local/bin/bash", "/usr/bin/bash", "/bin/bash", "/usr/local/bin/sh", "/usr/bin/sh", "/bin/sh", "/busybox/sh",
}

// Bootstrap returns the arguments of the entrypoint: a shell that reports that the
// container runs and then executes the shell of the script. It is POSIX shell, because the
// image may have no bash.
func Bootstrap() []string {
	return []string{"sh", "-c", "printf " + string(EnteredByte) + " >&4 2>/dev/null || exit 64\n" +
		"for shell in " + strings.Join(shells, " ") + "; do\n" +
		"\t[ -x \"$shell\" ] && exec \"$shell\" 0<&3 3<&- 4>&-\n" +
		"done\necho 'the image has no shell' >&2\nexit 127\n"}
}

// Sandbox runs a command in a user, mount and PID namespace of unshare(1) of util-linux.
// Only one id is mapped, so it needs neither subordinate ids nor privileges; it works with
// an empty bounding set and under no_new_privs. When the process that started the sandbox
// dies, the kernel kills all processes in it.
//
// Entering a user namespace clears the parent-death signal (commit_creds in
// kernel/cred.c), so setpriv(1) sets it again. The innermost sh is process 1: it ignores
// TERM because it has no handler, and reaps the orphans of engines.
type Sandbox struct {
	// Network adds a network namespace, with a loopback device.
	Network bool
	// NoDeathSignal omits setpriv, for util-linux before 2.33.
	NoDeathSignal bool
}

const (
	plainInit   = `"$@"; exit $?`
	networkInit = `ip link set lo up && "$@"; exit $?`
)

// Programs are those that the sandbox itself needs.
func (c Sandbox) Programs() []string {
	programs := []string{"unshare"}
	if !c.NoDeathSignal {
		programs = append(programs, "setpriv")
	}
	if c.Network {
		programs = append(programs, "ip")
	}
	return programs
}

// Wrap returns the command that runs inner in the sandbox. It passes exit codes and
// descriptors.
func (c Sandbox) Wrap(inner Command) Command {
	argv := []string{"unshare", "--user", "--map-root-user", "--mount"}
	if c.Network {
		argv = append(argv, "--net")
	}
	argv = append(argv, "--")
	if !c.NoDeathSignal {
		argv = append(argv, "setpriv", "--pdeathsig", "KILL", "--")
	}
	argv = append(argv, "unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--")
	text := plainInit
	if c.Network {
		text = networkInit
	}
	return Command{Argv: append(append(argv, "sh", "-c", text, "sandbox"), inner.Argv...), Env: inner.Env}
}
