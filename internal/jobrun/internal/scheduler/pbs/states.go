package pbs

import (
	"regexp"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

const queued, held, unsatisfiable = scheduler.Queued, scheduler.Held, scheduler.Unsatisfiable

// states are the letters of job_state, from JOB STATES of qstat(1B) of OpenPBS;
// C is Torque's.
func states() map[string]scheduler.Row {
	return map[string]scheduler.Row{
		"B": scheduler.Runs("its array has started"),
		"C": scheduler.Ends(scheduler.Exited, "it completed"),
		"E": scheduler.Completes("it is exiting"),
		"F": scheduler.Ends(scheduler.Exited, "it finished"),
		"H": scheduler.Waits(held, "it is held; release it with qrls"),
		"M": scheduler.Ends(scheduler.Exited, "it was moved to another server"),
		"Q": scheduler.Waits(queued, "it is waiting in the queue"),
		"R": scheduler.Runs("it is running"),
		"S": scheduler.Suspends("it is suspended"),
		"T": scheduler.Waits(queued, "it is being moved to another server"),
		"U": scheduler.Suspends("it is suspended while the workstation is in use"),
		"W": scheduler.Waits(queued, "its start time has not been reached"),
		"X": scheduler.Ends(scheduler.Exited, "it finished"),
	}
}

// terminated is the substate of a deleted job (JOB_SUBSTATE_TERMINATED of OpenPBS), which
// the exit status does not distinguish from a killed one.
const terminated = "91"

// statuses are the values of Exit_status that PBS itself sets (Job Exit Status Codes of
// the OpenPBS administrator's guide; JOB_EXEC_KILL_* of job.h).
func statuses() map[int]scheduler.Row {
	return map[int]scheduler.Row{
		-29: scheduler.Ends(scheduler.TimeLimit, "it ran longer than its walltime"),
		-28: scheduler.Ends(scheduler.TimeLimit, "it used more processor time than it requested"),
		-27: scheduler.Ends(scheduler.MemoryLimit, "it used more memory than it requested"),
		-26: scheduler.Ends(scheduler.MemoryLimit, "it used more virtual memory than it requested"),
		-25: scheduler.Ends(scheduler.SystemFailure, "it used more processors than it requested"),
		-24: scheduler.Ends(scheduler.SystemFailure, "it used more processors than it requested"),
		-11: scheduler.Ends(scheduler.SystemFailure, "it was preempted"),
		-10: scheduler.Ends(scheduler.SystemFailure, "its account is unknown on the node"),
		-2:  scheduler.Ends(scheduler.SystemFailure, "its node could not prepare its files"),
		-1:  scheduler.Ends(scheduler.SystemFailure, "its node could not start it"),
	}
}

// torqueStatuses are those of Torque's exit_status (JOB_EXEC_* of
// src/include/pbs_job.h of Torque 6.1).
func torqueStatuses() map[int]scheduler.Row {
	return map[int]scheduler.Row{
		-14: scheduler.Ends(scheduler.SystemFailure, "its node's prologue must run again"),
		-13: scheduler.Ends(scheduler.SystemFailure, "its node could not create its cgroups"),
		-12: scheduler.Ends(scheduler.TimeLimit, "it used more processor time than it requested"),
		-11: scheduler.Ends(scheduler.TimeLimit, "it ran longer than its walltime"),
		-10: scheduler.Ends(scheduler.MemoryLimit, "it used more memory than it requested"),
		-9:  scheduler.Ends(scheduler.SystemFailure, "its node could not open its output"),
		-8:  scheduler.Ends(scheduler.SystemFailure, "its node could not start its command"),
		-2:  scheduler.Ends(scheduler.SystemFailure, "its node could not prepare its files"),
		-1:  scheduler.Ends(scheduler.SystemFailure, "its node could not start it"),
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
func reasonOf(a attributes, row scheduler.Row) scheduler.Reason {
	r := scheduler.Reason{Name: a["job_state"], Description: row.Description, Kind: row.Kind}
	for _, c := range pendingComments {
		if !c.form().MatchString(a["comment"]) || (row.Kind == held && c.kind != scheduler.LaunchFailed) {
			continue
		}
		return scheduler.Reason{Name: a["comment"], Description: c.text, Kind: c.kind}
	}
	if a["comment"] != "" {
		r.Name = a["comment"]
	}
	return r
}
