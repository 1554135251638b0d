// Package cobalt says how Cobalt is spoken to: qsub, qstat and qdel. It is pure.
//
// Cobalt forgets a job when it ends: how it ended is known from the script's own
// mark alone.
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

// Submit implements scheduler.Scheduler. The job writes its log itself; Cobalt's
// own files go where they leave nothing behind.
func (Cobalt) Submit(s scheduler.Spec, args []string) scheduler.Command {
	return scheduler.Command{Argv: append(append([]string{"qsub"}, args...), "--jobname="+s.Name,
		"--output=/dev/null", "--error=/dev/null", "--debuglog=/dev/null", "--cwd="+s.Dir, "--mode=script", s.Script)}
}

var replies = scheduler.Replies{
	ID:          scheduler.Pattern(`^([1-9][0-9]{0,9})$`),
	Unreachable: scheduler.Pattern(`(?i)failed to connect to (?:the )?(?:queue manager|service-location)|Connection refused|cobalt\.conf`),
	Uncertain:   scheduler.Pattern(`(?i)timed? ?out|connection|communication|ssl|lost|reset|ComponentLookupError`),
}

// ParseSubmit implements scheduler.Scheduler.
func (Cobalt) ParseSubmit(r scheduler.Reply) scheduler.Submission { return replies.Judge(r) }

const columns = "JobID:JobName:State:Location"

// Queries implements scheduler.Scheduler.
func (Cobalt) Queries(id scheduler.ID, _ bool) []scheduler.Query {
	return []scheduler.Query{{
		Command: command("qstat", "--header", columns, string(id)),
		Parse:   func(r scheduler.Reply) scheduler.State { return parseJob(r, id) },
	}}
}

// Cancel implements scheduler.Scheduler. qdel sends TERM, and KILL later.
func (Cobalt) Cancel(id scheduler.ID) scheduler.Command { return command("qdel", string(id)) }

// Find implements scheduler.Finder.
func (Cobalt) Find(user, _ string) scheduler.Command {
	return command("qstat", "--header", columns, "-u", user)
}

// Limits implements scheduler.Limited.
func (Cobalt) Limits() string {
	return "Cobalt keeps no record of jobs that have ended: whether a job met its time limit or was deleted by somebody is not known"
}

func command(program string, args ...string) scheduler.Command {
	return scheduler.Command{Argv: append([]string{program}, args...), Env: []string{"LC_ALL=C"}}
}

// table reads qstat's columns below a line of "=" signs; no value has a blank.
func table(r scheduler.Reply) (rows []map[string]string, err error) {
	said := strings.TrimSpace(r.Stderr)
	switch {
	case r.Err != nil:
		return nil, r.Err
	case said == "" && strings.TrimSpace(r.Stdout) == "":
		return nil, nil // no such job; qstat says nothing, and returns 1
	case r.Code != 0:
		return nil, fmt.Errorf("qstat: %s", said)
	}
	head, body, ok := strings.Cut(r.Stdout, "\n=")
	names := strings.Fields(head)
	_, body, _ = strings.Cut(body, "\n")
	if !ok || strings.Join(names, ":") != columns {
		return nil, fmt.Errorf("qstat's answer is no table")
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
	rows, err := table(r)
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
	known, ok := states[row["State"]]
	if !ok {
		return scheduler.State{}
	}
	s := scheduler.State{Phase: known.phase, Name: row["State"], Words: known.words}
	if row["Location"] != "None" {
		s.Nodes = row["Location"]
	}
	if s.Phase == scheduler.Pending {
		s.Reason = scheduler.Reason{Name: row["State"], Text: known.words, Hope: known.hope}
	}
	return s
}

// ParseFind implements scheduler.Finder.
func (Cobalt) ParseFind(r scheduler.Reply) ([]scheduler.Found, error) {
	rows, err := table(r)
	var found []scheduler.Found
	for _, row := range rows {
		if replies.ID().MatchString(row["JobID"]) {
			found = append(found, scheduler.Found{ID: scheduler.ID(row["JobID"]), Name: row["JobName"], State: stateOf(row)})
		}
	}
	return found, err
}

// Grammar implements scheduler.Scheduler: qsub(1) of Cobalt 1.0.
func (Cobalt) Grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Add(scheduler.Required, "attrs dependencies env geometry inputfile/i ion_kernel ion_kerneloptions kernel/k kerneloptions/K nodecount/n notify/M proccount/p project/A queue/q time/t umask user_list run_users")
	g.Add(scheduler.None, "held/h preemptable disable_preboot run_project")
	g.Reserve(scheduler.Required, "cwd debuglog error/e jobname/N output/o outputprefix/O mode")
	g.Reserve(scheduler.None, "interactive/I version/v debug/d help")
	return g
}
