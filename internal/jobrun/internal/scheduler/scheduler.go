package scheduler

import "time"

// ID is what the batch system calls a job, as it stands in its commands.
type ID string

// Command is one call of a batch system's program: the bare program name, its
// arguments, and environment pairs that it needs beyond the site's.
type Command struct {
	Argv []string
	Env  []string
	Dir  string // where it runs, "" for anywhere
}

// Reply is what a command gave back. Err is set when there is no answer to
// judge: the program could not be started, was killed or took too long.
type Reply struct {
	Stdout, Stderr string
	Code           int
	Err            error
}

// Spec is what the engine asks of every submission.
type Spec struct {
	Name   string // unique name of the job
	Script string // path of the script to submit
	Output string // path of the file for standard output and error
	Dir    string // working directory
}

// Scheduler is what every batch system gives.
type Scheduler interface {
	// Name is the batch system's name as users know it.
	Name() string
	// Grammar is the command line of the submit program.
	Grammar() Grammar
	// Submit is the one command that submits. Its own arguments come after the
	// given ones, so that they win.
	Submit(spec Spec, args []string) Command
	// ParseSubmit judges the reply to it.
	ParseSubmit(Reply) Submission
	// Queries is the ladder of questions about one job: the next is asked when
	// the one before it does not know. Accounting adds those of a site that
	// keeps records.
	Queries(id ID, accounting bool) []Query
	// Cancel ends a job in whatever state it is.
	Cancel(id ID) Command
}

// Query is one question and how to read the answer.
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

// Owned is a Finder whose list has no names: the job itself is asked for them.
type Owned interface {
	Owner(id ID) Command
	// ParseOwner returns "" for a job that is not there.
	ParseOwner(Reply) (user, name string)
}

// Versioned is a batch system whose versions have to be spoken to differently.
type Versioned interface {
	// Version asks the submit program for its version.
	Version() Command
	// Of is the batch system that gave the answer; what the answer does not say is
	// assumed to be the least.
	Of(Reply) Scheduler
}

// NameCanceller can end jobs by their name, for when an id was never learned.
type NameCanceller interface {
	CancelName(user, name string) Command
}

// Signaller can send SIGTERM to the script and to all that it started.
type Signaller interface {
	Signal(id ID) Command
}

// Accountant knows what a finished job used.
type Accountant interface {
	Usage(id ID) Command
	ParseUsage(Reply) Usage
}

// Usage is what a job used; a zero value is not known.
type Usage struct {
	Elapsed time.Duration // wall clock time from start to end
	CPU     time.Duration // processor time of all its processes
	CPUs    int           // processors allocated
	Memory  int64         // peak resident set of one task, bytes
	Nodes   string
}

// Efficiency is the part of the allocated processor time that was used, 0 to 1;
// ok is false when it is not known.
func (u Usage) Efficiency() (part float64, ok bool) {
	if u.CPU <= 0 || u.CPUs <= 0 || u.Elapsed <= 0 {
		return 0, false
	}
	return float64(u.CPU) / (float64(u.Elapsed) * float64(u.CPUs)), true
}

// Submission is what became of a submit command.
type Submission struct {
	Verdict Verdict
	ID      ID      // Accepted only
	Error   string  // the text of the line that carries the error, "" for none
	Message Message // what the program printed, unless it accepted
}

// Verdict on a submission.
type Verdict uint8

const (
	// Uncertain: the job may have been taken all the same. It is looked up by
	// name; it is never submitted again.
	Uncertain Verdict = iota
	// Accepted: the job is in the batch system's hands.
	Accepted
	// Refused: the batch system read the request and declined it.
	Refused
	// Unreachable: the request was never sent, or answered that it was not looked at.
	Unreachable
	// Full: a limit on the number of submitted jobs is reached. The request may be
	// sent again.
	Full
)
