package scheduler

import "time"

// Phase is where a job is on its way.
type Phase uint8

// The phases. The zero value is Unknown.
const (
	Unknown Phase = iota
	Pending
	Running
	Completing
	Done
)

// Class is how a finished job ended, by who has to act on it.
type Class uint8

const (
	// Ended: the script came to its own end; its exit status decides.
	Ended Class = iota
	// TimeLimit, MemoryLimit and Deadline: the job met a limit of its request.
	TimeLimit
	MemoryLimit
	Deadline
	// Cancelled: somebody ended it.
	Cancelled
	// Lost: the batch system or its nodes failed the job.
	Lost
)

// State is a batch system's view of one job.
type State struct {
	Phase       Phase
	Class       Class  // for Done
	Name        string // the batch system's own word, "TIMEOUT"
	Description string // the same in plain words
	By          string // who cancelled it, where that is recorded

	Reason Reason // why it waits, or why it ended
	Exit   Exit   // of the script, for Done
	// Start is when the job started or, while it is pending, is expected to.
	Start time.Time
	Nodes string
	// Missing tells, of Unknown, that the batch system answered and has no such
	// job; otherwise there was no answer that could be read.
	Missing bool
}

// Exit is an exit status as a batch system records it.
type Exit struct {
	Known        bool
	Code, Signal int
}

// Reason is why a job is not running.
type Reason struct {
	Name        string // the batch system's own word, "PartitionNodeLimit"
	Description string // plain words; the name itself when nobody wrote any
	Hope        PendingKind
}

// PendingKind is whether a pending job will start.
type PendingKind uint8

const (
	// Waits: it starts when its turn comes.
	Queued PendingKind = iota
	// Held: somebody has to release it first.
	Held
	// Never: nothing that can be expected makes it start.
	Unsatisfiable
	// Broken: the batch system tried to start it and could not.
	LaunchFailed
)

// Finished reports whether the job takes no resources any more as far as the batch
// system knows.
func (s State) Finished() bool { return s.Phase == Done || (s.Phase == Unknown && s.Missing) }

// Resolve asks the ladder through ask until a question is answered permanently. A job
// that is missing from one place may be in the next; a job that is done may have
// its exit status in the next.
func Resolve(ladder []Query, ask func(Command) Reply) State {
	var best State
	for i, q := range ladder {
		s := q.Parse(ask(q.Command))
		switch {
		case i == 0 || s.Phase > best.Phase:
			s.Start, s.Nodes = firstTime(s.Start, best.Start), firstText(s.Nodes, best.Nodes)
			best = s
		case s.Phase == Done:
			best = merge(best, s)
		case s.Phase == Unknown && best.Phase == Unknown:
			// One part that does not answer leaves the whole unanswered.
			best.Missing = best.Missing && s.Missing
		}
		if best.settled() {
			return best
		}
	}
	return best
}

// settled reports whether asking further can add nothing.
func (s State) settled() bool {
	return s.Phase != Unknown && (s.Phase != Done || s.Exit.Known)
}

// merge completes a finished job's state from a second record of it.
func merge(a, b State) State {
	if !a.Exit.Known {
		a.Exit = b.Exit
	}
	if a.By == "" {
		a.By = b.By
	}
	a.Start, a.Nodes = firstTime(a.Start, b.Start), firstText(a.Nodes, b.Nodes)
	return a
}

func firstTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

func firstText(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
