package pbs

import (
	"regexp"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

type stateRow struct {
	phase       scheduler.Phase
	kind        scheduler.PendingKind
	description string
}

const (
	pending, running, completing, done = scheduler.Pending, scheduler.Running, scheduler.Completing, scheduler.Done
	queued, held, unsatisfiable        = scheduler.Queued, scheduler.Held, scheduler.Unsatisfiable
)

// states are the letters of job_state, from JOB STATES of qstat(1B) of OpenPBS;
// C is Torque's.
func states() map[string]stateRow {
	return map[string]stateRow{
		"B": {running, 0, "its array has started"},
		"C": {done, 0, "it completed"},
		"E": {completing, 0, "it is exiting"},
		"F": {done, 0, "it finished"},
		"H": {pending, held, "it is held; release it with qrls"},
		"M": {done, 0, "it was moved to another server"},
		"Q": {pending, queued, "it is waiting in the queue"},
		"R": {running, 0, "it is running"},
		"S": {running, 0, "it is suspended"},
		"T": {pending, queued, "it is being moved to another server"},
		"U": {running, 0, "it is suspended while the workstation is in use"},
		"W": {pending, queued, "its start time has not been reached"},
		"X": {done, 0, "it finished"},
	}
}

// terminated is the substate of a deleted job (JOB_SUBSTATE_TERMINATED of OpenPBS), which
// the exit status does not distinguish from a killed one.
const terminated = "91"

type exitRow struct {
	class       scheduler.Class
	description string
}

// statuses are the values of Exit_status that PBS itself sets (Job Exit Status Codes of
// the OpenPBS administrator's guide; JOB_EXEC_KILL_* of job.h).
func statuses() map[int]exitRow {
	return map[int]exitRow{
		-29: {scheduler.TimeLimit, "it ran longer than its walltime"},
		-28: {scheduler.TimeLimit, "it used more processor time than it requested"},
		-27: {scheduler.MemoryLimit, "it used more memory than it requested"},
		-26: {scheduler.MemoryLimit, "it used more virtual memory than it requested"},
		-25: {scheduler.SystemFailure, "it used more processors than it requested"},
		-24: {scheduler.SystemFailure, "it used more processors than it requested"},
		-11: {scheduler.SystemFailure, "it was preempted"},
		-10: {scheduler.SystemFailure, "its account is unknown on the node"},
		-2:  {scheduler.SystemFailure, "its node could not prepare its files"},
		-1:  {scheduler.SystemFailure, "its node could not start it"},
	}
}

// torqueStatuses are those of Torque's exit_status (JOB_EXEC_* of
// src/include/pbs_job.h of Torque 6.1).
func torqueStatuses() map[int]exitRow {
	return map[int]exitRow{
		-14: {scheduler.SystemFailure, "its node's prologue must run again"},
		-13: {scheduler.SystemFailure, "its node could not create its cgroups"},
		-12: {scheduler.TimeLimit, "it used more processor time than it requested"},
		-11: {scheduler.TimeLimit, "it ran longer than its walltime"},
		-10: {scheduler.MemoryLimit, "it used more memory than it requested"},
		-9:  {scheduler.SystemFailure, "its node could not open its output"},
		-8:  {scheduler.SystemFailure, "its node could not start its command"},
		-2:  {scheduler.SystemFailure, "its node could not prepare its files"},
		-1:  {scheduler.SystemFailure, "its node could not start it"},
	}
}

// pendingComments explain why a job is pending, by the scheduler's comment; the first match
// counts.
var pendingComments = []struct {
	form func() *regexp.Regexp
	text string
	kind scheduler.PendingKind
}{
	// src/scheduler/constant.h and src/server/req_runjob.c. Anchored at the start: hooks
	// and administrators write comments too.
	{scheduler.Pattern(`^Can Never Run`), "it requests more than there is", unsatisfiable},
	{scheduler.Pattern(`(?i)insufficient amount of resource|not enough|no free nodes|would conflict`), "it waits for resources to become free", queued},
	{scheduler.Pattern(`(?i)higher priority|top ?jobs?|strict order`), "other jobs are ahead of it", queued},
	{scheduler.Pattern(`(?i)limit (has been )?reached|reached .*limit`), "a limit of its user, project or queue is reached", queued},
	{scheduler.Pattern(`(?i)queue not started|not in a running state`), "its queue starts no jobs now", queued},
	{scheduler.Pattern(`^(?:job held, too many failed|Job held, too many unsuccessful) attempts`), "it could not be started", scheduler.LaunchFailed},
	{scheduler.Pattern(`(?i)dedicated|primetime|reservation`), "the machine is reserved for other jobs now", queued},
}

// reasonOf explains why a job is pending. A held job stays held whatever an older comment
// contains, unless PBS itself holds it because it failed to start.
func reasonOf(a attributes, row stateRow) scheduler.Reason {
	r := scheduler.Reason{Name: a["job_state"], Description: row.description, Kind: row.kind}
	for _, c := range pendingComments {
		if !c.form().MatchString(a["comment"]) || (row.kind == held && c.kind != scheduler.LaunchFailed) {
			continue
		}
		return scheduler.Reason{Name: a["comment"], Description: c.text, Kind: c.kind}
	}
	if a["comment"] != "" {
		r.Name = a["comment"]
	}
	return r
}
