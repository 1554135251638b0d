package batch

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// refusedCode is the wrapper's exit code when it did not run the script.
const refusedCode = 75

// verdict turns what is known of the end into the stage's outcome. mark is nil
// when the script left none; then s is the batch system's record.
func (t Task) verdict(id scheduler.ID, mark *end, began bool, s scheduler.State) error {
	switch {
	case mark != nil && mark.code == 0:
		return nil
	case s.Phase == scheduler.Done && s.Class != scheduler.Ended:
		return t.limit(id, s)
	case mark != nil && mark.idle:
		return failure.Systemf("the shell of the job's script ended (exit code %d) before the script began", mark.code)
	case mark != nil:
		return failure.Exit(mark.code)
	case s.Reason.Hope == scheduler.Unsatisfiable:
		return t.hopeless(id, s)
	case !began:
		return failure.Systemf("%s job %s ended (%s) and its script never began", t.Scheduler.Name(), id, ended(s)).
			WithHint("the nodes must be able to write to %s", t.Scripts)
	}
	return t.recorded(id, s)
}

// recorded is the outcome of a script that began and left no mark, as when its
// storage is full.
func (t Task) recorded(id scheduler.ID, s scheduler.State) error {
	switch {
	case !s.Exit.Known || s.Exit.Code == refusedCode || s.Exit.Signal != 0:
		return failure.Systemf("%s job %s ended (%s) and its script left no mark of its end", t.Scheduler.Name(), id, ended(s))
	case s.Exit.Code != 0:
		return failure.Exit(s.Exit.Code)
	}
	return nil
}

// limit is the outcome of a job that did not come to its own end.
func (t Task) limit(id scheduler.ID, s scheduler.State) error {
	what := fmt.Sprintf("%s ended job %s: %s (%s)", t.Scheduler.Name(), id, s.Description, s.Name)
	switch s.Class {
	case scheduler.TimeLimit:
		return failure.Buildf("%s", what).WithHint("ask for more time in SCHEDULER_PARAMETERS%s", t.example(s.Class))
	case scheduler.MemoryLimit:
		return failure.Buildf("%s", what).WithHint("ask for more memory in SCHEDULER_PARAMETERS%s", t.example(s.Class))
	case scheduler.Deadline:
		return failure.Buildf("%s", what).WithHint("give it a later deadline in SCHEDULER_PARAMETERS%s, or none", t.example(s.Class))
	case scheduler.Cancelled:
		return failure.Buildf("%s job %s was cancelled%s, not by this CI job", t.Scheduler.Name(), id, by(s.By))
	}
	return failure.Systemf("%s", what)
}

// example is how the batch system's users would ask for it.
func (t Task) example(c scheduler.Class) string {
	if a, ok := t.Scheduler.(scheduler.Hinter); ok && a.Advice(c) != "" {
		return ", as with " + a.Advice(c)
	}
	return ""
}

// hopeless is the outcome of a request that can never start.
func (t Task) hopeless(id scheduler.ID, s scheduler.State) error {
	return failure.Buildf("%s job %s can never start: %s (%s)", t.Scheduler.Name(), id, s.Reason.Description, s.Reason.Name).
		WithHint("change the request in SCHEDULER_PARAMETERS")
}

func by(uid string) string {
	if uid == "" {
		return ""
	}
	return " by uid " + job.Clip(uid)
}

// ended is the batch system's word for the end, with the exit status.
func ended(s scheduler.State) string {
	words := []string{s.Name}
	if s.Exit.Known {
		words = append(words, fmt.Sprintf("exit code %d", s.Exit.Code))
	}
	if s.Exit.Known && s.Exit.Signal != 0 {
		words = append(words, fmt.Sprintf("signal %d", s.Exit.Signal))
	}
	return strings.Join(words, ", ")
}
