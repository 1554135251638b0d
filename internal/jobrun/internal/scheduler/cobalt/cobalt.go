// Package cobalt says how Cobalt is spoken to: qsub, qstat and qdel. It is pure.
//
// Reference: the source of Cobalt 1.0.32. No Cobalt was asked.
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

const columns = "JobID:JobName:State:Location"

// Queries implements scheduler.Scheduler.
func (Cobalt) Queries(id scheduler.ID, _ bool) []scheduler.Query {
	return []scheduler.Query{{
		Command: command("qstat", "--header", columns, string(id)),
		Parse:   func(r scheduler.Reply) scheduler.State { return parseJob(r, id) },
	}}
}

// Cancel implements scheduler.Scheduler. qdel has TERM sent, and KILL some minutes
// later (force_kill_delay). For a job that is not there it says nothing, with 0.
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

// table reads qstat's columns below a line of "=" signs. A row in which a value
// has blanks is not a job of ours.
func table(r scheduler.Reply) (rows []map[string]string, err error) {
	said := strings.TrimSpace(r.Stderr)
	switch {
	case r.Err != nil:
		return nil, r.Err
	case r.Code == 1 && said == "" && strings.TrimSpace(r.Stdout) == "":
		return nil, nil // no such job
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
	s := scheduler.State{Phase: known.phase, Name: row["State"], Description: known.words}
	if row["Location"] != "None" {
		s.Nodes = row["Location"]
	}
	if s.Phase == scheduler.Pending {
		s.Reason = scheduler.Reason{Name: row["State"], Description: known.words, Hope: known.hope}
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

// Grammar implements scheduler.Scheduler: the options of qsub, which has no letter
// for the job's name.
func (Cobalt) Grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Add(scheduler.Required, "attrs dependencies env geometry inputfile/i ion_kernel ion_kerneloptions kernel kerneloptions/K nodecount/n notify/M proccount project/A queue/q time/t umask/u user_list run_users")
	g.Add(scheduler.None, "held/h preemptable disable_preboot run_project verbose/v")
	g.Reserve(scheduler.Required, "cwd debuglog error/e jobname output/o outputprefix/O mode")
	g.Reserve(scheduler.None, "interactive/I version debug/d help")
	return g
}
