// Package cobalt builds the commands of Cobalt (qsub, qstat, qdel) and parses their
// output. It is pure.
//
// Reference: the source of Cobalt 1.0.32. Not tested against a live Cobalt.
//
// Cobalt keeps no record of a job that has ended: only the job's own status file shows
// how it ended.
package cobalt

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// Cobalt implements scheduler.Scheduler.
type Cobalt struct{}

// Name implements scheduler.Scheduler.
func (Cobalt) Name() string { return "Cobalt" }

// Submit implements scheduler.Scheduler. The job writes its log itself; Cobalt's own
// output files are discarded.
func (Cobalt) Submit(s scheduler.Spec, args []string) scheduler.Command {
	return scheduler.Command{Argv: append(append([]string{"qsub"}, args...), "--jobname="+s.Name,
		"--output=/dev/null", "--error=/dev/null", "--debuglog=/dev/null", "--cwd="+s.Dir, "--mode=script", s.Script)}
}

const columns = "JobID:JobName:State:Location"

// Queries implements scheduler.Scheduler.
func (Cobalt) Queries(id scheduler.ID, _ bool) []scheduler.Query {
	return []scheduler.Query{{
		Command: scheduler.NewCommand("qstat", "--header", columns, string(id)),
		Parse:   func(r scheduler.Reply) scheduler.State { return parseJob(r, id) },
	}}
}

// Cancel implements scheduler.Scheduler. qdel causes TERM, and KILL some minutes later
// (force_kill_delay). For a job that does not exist it prints nothing and returns 0.
func (Cobalt) Cancel(id scheduler.ID) scheduler.Command {
	return scheduler.NewCommand("qdel", string(id))
}

// Find implements scheduler.Finder.
func (Cobalt) Find(user, _ string) scheduler.Command {
	return scheduler.NewCommand("qstat", "--header", columns, "-u", user)
}

// Limits implements scheduler.Constrained.
func (Cobalt) Limits() string {
	return "Cobalt keeps no record of jobs that have ended: Jacamar cannot report whether a job reached its time limit or was deleted"
}

// parseTable parses qstat's columns, which follow a line of "=" signs. A row in which a
// value contains blanks is not a job of this program.
func parseTable(r scheduler.Reply) (rows []map[string]string, err error) {
	message := strings.TrimSpace(r.Stderr)
	switch {
	case r.Err != nil:
		return nil, r.Err
	case r.Code == 1 && message == "" && strings.TrimSpace(r.Stdout) == "":
		return nil, nil // no such job
	case r.Code != 0:
		return nil, fmt.Errorf("qstat: %s", message)
	}
	head, body, ok := strings.Cut(r.Stdout, "\n=")
	names := strings.Fields(head)
	_, body, _ = strings.Cut(body, "\n")
	if !ok || strings.Join(names, ":") != columns {
		return nil, fmt.Errorf("cannot parse the output of qstat")
	}
	for line := range strings.Lines(body) {
		values := strings.Fields(line)
		if len(values) != len(names) {
			continue
		}
		row := map[string]string{}
		for i, name := range names {
			row[name] = values[i]
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func parseJob(r scheduler.Reply, id scheduler.ID) scheduler.State {
	rows, err := parseTable(r)
	if err != nil {
		return scheduler.State{}
	}
	for _, row := range rows {
		if row["JobID"] == string(id) {
			return stateOf(row)
		}
	}
	return scheduler.State{Missing: len(rows) == 0}
}

func stateOf(row map[string]string) scheduler.State {
	known, ok := states()[row["State"]]
	if !ok {
		return scheduler.State{}
	}
	s := known.State(row["State"])
	if row["Location"] != "None" {
		s.Nodes = row["Location"]
	}
	return s
}

// ParseFind implements scheduler.Finder.
func (Cobalt) ParseFind(r scheduler.Reply) ([]scheduler.Found, error) {
	rows, err := parseTable(r)
	var found []scheduler.Found
	for _, row := range rows {
		if submittedID().MatchString(row["JobID"]) {
			found = append(found, scheduler.Found{ID: scheduler.ID(row["JobID"]), Name: row["JobName"], State: stateOf(row)})
		}
	}
	return found, err
}

// Grammar implements scheduler.Scheduler: the options of qsub, which has no short option
// for the job's name.
func (Cobalt) Grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Add(scheduler.Required, "attrs dependencies env geometry inputfile/i ion_kernel ion_kerneloptions kernel kerneloptions/K nodecount/n notify/M proccount project/A queue/q time/t umask/u user_list run_users")
	g.Add(scheduler.None, "held/h preemptable disable_preboot run_project verbose/v")
	g.Reserve(scheduler.Required, "cwd debuglog error/e jobname output/o outputprefix/O mode")
	g.Reserve(scheduler.None, "interactive/I version debug/d help")
	return g
}

var submittedID = scheduler.Pattern(`^([1-9][0-9]{0,9})(?: .*)?$`)

// submitPatterns match the output of qsub (src/clients/POSIX/qsub.py). It requests the
// system component to validate the job, and prints an error of that as "component error:
// X" (src/lib/client_utils.py); then it passes the job to the queue manager, and prints
// an exception of that unchanged: a fault, whose text contains names of the user and of
// the site, or an exception of sockets, TLS or HTTP.
func submitPatterns() scheduler.SubmitPatterns {
	return scheduler.SubmitPatterns{
		// A message of the queue manager may follow the number.
		ID:         submittedID,
		Error:      scheduler.Pattern(`^(component error: .*|<Fault .*|<ProtocolError .*|client_utils\.py:.*|\[Errno .*|\(?'?(?:The (?:read|write|handshake) operation )?timed out.*|\S+ operation timed out|BadStatusLine.*)$`),
		FirstError: true,
		Unreachable: scheduler.Sentences(
			`component error: Failed to connect to (?:system|queue-manager): .*`,
			`component error: Following exception occurred in (?:system|queue-manager): .*`,
			`component error: Following exception occurred while trying to execute system\.\w+: .*`,
			`client_utils\.py:L#[0-9]+:cn:(?:system|queue-manager|service-location)`,
			`\[Errno [0-9]+\] (?:Connection refused|No route to host|Network is unreachable|Name or service not known)`,
		),
		// maxqueued and maxnodehours of a queue (src/lib/Components/cqm.py).
		Full: scheduler.Sentences(`<Fault 1[0-9]{3}: "The limit of \S+ (?:jobs|node hours) per user in the '\S+' queue has been reached(?:\\n)?">`),
		Uncertain: scheduler.Sentences(
			// A fault of another origin: the numbers of Cobalt's own begin at 1000.
			`<Fault [0-9]{1,3}: .*>`, `<ProtocolError for .*>`,
			`component error: (?:Following exception occurred while trying to execute|XMLRPC failure <Fault [0-9]{1,3}: .*> in) queue-manager\.\w+(?:: .*)?`,
			`\[Errno [0-9]+\] (?:Connection (?:reset by peer|timed out)|Broken pipe|_ssl\.c:.*)`,
			`\(?'?(?:The (?:read|write|handshake) operation )?timed out'?,?\)?`, `BadStatusLine.*`,
		),
	}
}

// ParseSubmit implements scheduler.Scheduler.
func (Cobalt) ParseSubmit(r scheduler.Reply) scheduler.Submission {
	return submitPatterns().Classify(r)
}

// states are those of Cobalt's queue manager. qstat shows a job that has ended only for
// a moment.
func states() map[string]scheduler.Row {
	return map[string]scheduler.Row{
		"queued":      scheduler.Waits(scheduler.Queued, "it is waiting in the queue"),
		"starting":    scheduler.Runs("it is starting"),
		"running":     scheduler.Runs("it is running"),
		"exiting":     scheduler.Completes("it is exiting"),
		"killing":     scheduler.Completes("it is being killed"),
		"done":        scheduler.Completes("it has ended"),
		"preempting":  scheduler.Runs("it is being preempted"),
		"preempted":   scheduler.Suspends("it is suspended for another job"),
		"user_hold":   scheduler.Waits(scheduler.Held, "it is held; release it with qrls"),
		"admin_hold":  scheduler.Waits(scheduler.Held, "it is held by an administrator"),
		"maxrun_hold": scheduler.Waits(scheduler.Queued, "its user runs as many jobs as the queue allows"),
		"dep_hold":    scheduler.Waits(scheduler.Queued, "it depends on a job that has not ended"),
		"dep_fail":    scheduler.Waits(scheduler.Unsatisfiable, "it depends on a job that failed"),
	}
}
