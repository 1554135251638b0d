// Package scheduler defines the interface between the batch engine and a batch
// system: commands to run, replies to parse, job states.
//
// A batch system's package is pure: it builds commands and parses their output; the
// engine runs them. A state that a reply does not clearly show is Unknown, never Done:
// only the job's own status file or the batch system's record ends a job, not its
// absence.
package scheduler

import (
	"cmp"
	"time"
)

// ID is the batch system's id of a job, as its commands take it.
type ID string

// Command is one call of a batch system's program: the program's name without a
// directory, its arguments, and environment variables in addition to the site's.
type Command struct {
	Argv []string
	Env  []string
	Dir  string // working directory, "" for any
}

// NewCommand is a command in the C locale.
func NewCommand(program string, args ...string) Command {
	return Command{Argv: append([]string{program}, args...), Env: []string{"LC_ALL=C"}}
}

// Reply is the result of a command. Err is set when there is no output to parse: the
// program could not be started, was killed or timed out.
type Reply struct {
	Stdout, Stderr string
	Code           int
	Err            error
}

// Spec describes a submission.
type Spec struct {
	Name   string // unique name of the job
	Script string // path of the script to submit
	Output string // path of the file for standard output and error
	Dir    string // working directory
}

// Scheduler is implemented by every batch system.
type Scheduler interface {
	// Name is the batch system's name in messages.
	Name() string
	// Grammar is the command line of the submit program.
	Grammar() Grammar
	// Submit is the command that submits. Its own arguments follow args, so that they
	// take precedence.
	Submit(spec Spec, args []string) Command
	// ParseSubmit parses the reply to it.
	ParseSubmit(Reply) Submission
	// Queries are the queries for one job, in order: each is run when the one before
	// it did not show the state. Accounting adds those of the accounting database.
	Queries(id ID, accounting bool) []Query
	// Cancel ends a job in any state.
	Cancel(id ID) Command
}

// Query is a command and the parser of its reply.
type Query struct {
	Command
	Parse func(Reply) State
}

// Finder can list a user's jobs by name; with name "", all of them.
type Finder interface {
	Find(user, name string) Command
	ParseFind(Reply) ([]Found, error)
}

// Found is one job of a list.
type Found struct {
	ID    ID
	Name  string
	State State
}

// OwnerFinder is a Finder whose list has no names: they are queried for each job.
type OwnerFinder interface {
	Owner(id ID) Command
	// ParseOwner returns "" for a job that does not exist, and an error where the reply
	// does not show whose it is.
	ParseOwner(Reply) (user, name string, err error)
}

// Versioned is a batch system whose versions need different commands.
type Versioned interface {
	// Version queries the submit program for its version.
	Version() Command
	// ForVersion returns the batch system that gave the reply. It assumes the oldest
	// version where the reply does not show it.
	ForVersion(Reply) Scheduler
}

// Clustered is a batch system of several clusters, each with its own list of jobs.
type Clustered interface {
	// Clusters are those of a submission with these arguments, or of the job with this id
	// where it is known; "" for the local cluster.
	Clusters(args []Argument, id ID) string
	// In returns the batch system whose jobs are in these clusters.
	In(clusters string) Scheduler
}

// NameCanceller can cancel jobs by name, when the id is unknown.
type NameCanceller interface {
	CancelName(user, name string) Command
}

// Signaller can send SIGTERM to the script and its descendants.
type Signaller interface {
	Signal(id ID) Command
}

// Accountant can query the resource usage of a finished job.
type Accountant interface {
	Usage(id ID) Command
	ParseUsage(Reply) Usage
}

// Usage is a job's resource usage; zero values are unknown.
type Usage struct {
	Elapsed time.Duration // wall clock time from start to end
	CPU     time.Duration // processor time of all its processes
	CPUs    int           // processors allocated
	Memory  int64         // peak resident set of one task, bytes
	Nodes   string
}

// Efficiency is the used part of the allocated processor time, 0 to 1; ok is false
// when it is unknown.
func (u Usage) Efficiency() (part float64, ok bool) {
	if u.CPU <= 0 || u.CPUs <= 0 || u.Elapsed <= 0 {
		return 0, false
	}
	return float64(u.CPU) / (float64(u.Elapsed) * float64(u.CPUs)), true
}

// Submission is the result of a submit command.
type Submission struct {
	Outcome Outcome
	ID      ID      // Accepted only
	Error   string  // from the line that contains the error, "" for none
	Message Message // what the program printed, unless it accepted
}

// Outcome of a submission.
type Outcome uint8

const (
	// Uncertain: the job may have been accepted. It is searched for by name and never
	// submitted again.
	Uncertain Outcome = iota
	// Accepted: the batch system has the job.
	Accepted
	// Refused: the batch system read the request and declined it.
	Refused
	// Unreachable: the request was not sent, or certainly not processed.
	Unreachable
	// Full: a limit on the number of submitted jobs is reached. The request may be
	// sent again.
	Full
)

// Phase is the stage of a job's life.
type Phase uint8

// The phases. The zero value is Unknown.
const (
	Unknown Phase = iota
	Pending
	Running
	Completing
	Done
)

// Class is how a finished job ended.
type Class uint8

const (
	// Exited: the script ended by itself; its exit status decides.
	Exited Class = iota
	// TimeLimit, MemoryLimit and Deadline: the job reached a limit of its request.
	TimeLimit
	MemoryLimit
	Deadline
	// Cancelled: a user or an administrator cancelled it.
	Cancelled
	// SystemFailure: the batch system or its nodes failed.
	SystemFailure
)

// State is a batch system's view of one job.
type State struct {
	Phase       Phase
	Class       Class  // for Done
	Name        string // of the state in the batch system, "TIMEOUT"
	Description string // the same for users
	By          string // the user who cancelled it, where that is recorded

	Reason Reason // why it is pending, or why it ended
	Exit   Exit   // of the script, for Done
	// Start is when the job started or, while it is pending, is expected to.
	Start time.Time
	Nodes string
	// Missing is set with Unknown when the batch system replied that it has no such
	// job; otherwise there was no reply that could be parsed.
	Missing bool
	// Suspended is set with Running when the script does not go on until the batch system,
	// or who suspended the job, resumes it.
	Suspended bool
}

// Row is a row of a batch system's table of states.
type Row struct {
	Phase       Phase
	Class       Class       // for Done
	Kind        PendingKind // for Pending
	Description string
	Suspended   bool // for Running
}

// State is the state of that name. Without a record of its own, the reason of a pending
// job is its state.
func (r Row) State(name string) State {
	s := State{Phase: r.Phase, Class: r.Class, Name: name, Description: r.Description, Suspended: r.Suspended}
	if r.Phase == Pending {
		s.Reason = Reason{name, r.Description, r.Kind}
	}
	return s
}

// Waits is the row of a state of jobs that are pending.
func Waits(kind PendingKind, description string) Row {
	return Row{Phase: Pending, Kind: kind, Description: description}
}

// Runs is the row of a state of jobs that are running.
func Runs(description string) Row { return Row{Phase: Running, Description: description} }

// Suspends is the row of a state of jobs that have started and are suspended.
func Suspends(description string) Row {
	return Row{Phase: Running, Description: description, Suspended: true}
}

// Completes is the row of a state of jobs whose script has ended.
func Completes(description string) Row { return Row{Phase: Completing, Description: description} }

// Ends is the row of a state of jobs that are done, or of one reason for their end.
func Ends(class Class, description string) Row {
	return Row{Phase: Done, Class: class, Description: description}
}

// Exit is an exit status as a batch system records it.
type Exit struct {
	Known        bool
	Code, Signal int
}

// Reason is why a job is not running.
type Reason struct {
	Name        string // of the reason in the batch system, "PartitionNodeLimit"
	Description string // the same for users; the name where there is no description
	Kind        PendingKind
}

// PendingKind classifies why a job is pending.
type PendingKind uint8

const (
	// Queued: it starts when resources become free.
	Queued PendingKind = iota
	// Held: a user or an administrator must release it first.
	Held
	// Unsatisfiable: the request cannot be met.
	Unsatisfiable
	// LaunchFailed: the batch system tried to start it and failed.
	LaunchFailed
)

// Finished reports whether the job uses no more resources according to the batch
// system.
func (s State) Finished() bool { return s.Phase == Done || (s.Phase == Unknown && s.Missing) }

// Resolve runs the queries in order until the state is complete. A job that is missing
// from one query may be in the next, and so may the exit status of a job that is done.
func Resolve(queries []Query, run func(Command) Reply) State {
	var best State
	for i, q := range queries {
		s := q.Parse(run(q.Command))
		switch {
		case i == 0 || s.Phase > best.Phase:
			s.Start, s.Nodes = cmp.Or(s.Start, best.Start), cmp.Or(s.Nodes, best.Nodes)
			best = s
		case s.Phase == Done:
			best = merge(best, s)
		case s.Phase == Unknown: // a job is missing only if every query replied so
			best.Missing = best.Missing && s.Missing
		}
		if best.complete() {
			return best
		}
	}
	return best
}

// complete reports whether further queries can add nothing.
func (s State) complete() bool {
	return s.Phase != Unknown && (s.Phase != Done || s.Exit.Known)
}

// merge completes the state of a finished job from a second record.
func merge(a, b State) State {
	if !a.Exit.Known {
		a.Exit = b.Exit
	}
	a.By, a.Start, a.Nodes = cmp.Or(a.By, b.By), cmp.Or(a.Start, b.Start), cmp.Or(a.Nodes, b.Nodes)
	return a
}
