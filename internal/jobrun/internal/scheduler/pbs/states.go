package pbs

import (
	"regexp"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

type state struct {
	phase scheduler.Phase
	hope  scheduler.PendingKind
	words string
}

const (
	pending, running, completing, done = scheduler.Pending, scheduler.Running, scheduler.Completing, scheduler.Done
	waits, held, never                 = scheduler.Queued, scheduler.Held, scheduler.Unsatisfiable
)

// states are the letters of job_state, from JOB STATES of qstat(1B) of OpenPBS;
// C is Torque's.
var states = map[string]state{
	"B": {running, 0, "its array has begun"},
	"C": {done, 0, "it completed"},
	"E": {completing, 0, "it is exiting"},
	"F": {done, 0, "it finished"},
	"H": {pending, held, "it is held; qrls lets it go"},
	"M": {done, 0, "it was moved to another server"},
	"Q": {pending, waits, "it waits for its turn"},
	"R": {running, 0, "it is running"},
	"S": {running, 0, "it is suspended"},
	"T": {pending, waits, "it is on its way to another server"},
	"U": {running, 0, "it is suspended while somebody uses the workstation"},
	"W": {pending, waits, "its start time has not come"},
	"X": {done, 0, "it finished"},
}

// terminated is the substate of a deleted job (JOB_SUBSTATE_TERMINATED of
// OpenPBS), which no exit status tells apart from a killed one.
const terminated = "91"

type status struct {
	class scheduler.Class
	words string
}

// statuses are the values of Exit_status that PBS gives itself (Job Exit Status
// Codes of the OpenPBS administrator's guide; JOB_EXEC_KILL_* of job.h).
var statuses = map[int]status{
	-29: {scheduler.TimeLimit, "it ran longer than its walltime"},
	-28: {scheduler.TimeLimit, "it used more processor time than it had asked for"},
	-27: {scheduler.MemoryLimit, "it used more memory than it had asked for"},
	-26: {scheduler.MemoryLimit, "it used more virtual memory than it had asked for"},
	-25: {scheduler.Lost, "it used more processors than it had asked for"},
	-24: {scheduler.Lost, "it used more processors than it had asked for"},
	-11: {scheduler.Lost, "it made way for another job"},
	-10: {scheduler.Lost, "its account is not known on the node"},
	-2:  {scheduler.Lost, "its node could not prepare its files"},
	-1:  {scheduler.Lost, "its node could not start it"},
}

// torqueStatuses are those of Torque's exit_status (JOB_EXEC_* of
// src/include/pbs_job.h of Torque 6.1).
var torqueStatuses = map[int]status{
	-14: {scheduler.Lost, "its node's prologue is to run again"},
	-13: {scheduler.Lost, "its node could not make its cgroups"},
	-12: {scheduler.TimeLimit, "it used more processor time than it had asked for"},
	-11: {scheduler.TimeLimit, "it ran longer than its walltime"},
	-10: {scheduler.MemoryLimit, "it used more memory than it had asked for"},
	-9:  {scheduler.Lost, "its node could not open its output"},
	-8:  {scheduler.Lost, "its node could not start its command"},
	-2:  {scheduler.Lost, "its node could not prepare its files"},
	-1:  {scheduler.Lost, "its node could not start it"},
}

// comments explain why a job waits, from the scheduler's comment; the first that
// fits counts.
var comments = []struct {
	form func() *regexp.Regexp
	text string
	hope scheduler.PendingKind
}{
	// src/scheduler/constant.h and src/server/req_runjob.c, from the beginning: hooks
	// and administrators write comments as well.
	{scheduler.Pattern(`^Can Never Run`), "it asks for more than there is", never},
	{scheduler.Pattern(`(?i)insufficient amount of resource|not enough|no free nodes|would conflict`), "it waits for resources to become free", waits},
	{scheduler.Pattern(`(?i)higher priority|top ?jobs?|strict order`), "other jobs are ahead of it", waits},
	{scheduler.Pattern(`(?i)limit (has been )?reached|reached .*limit`), "a limit of its user, project or queue is reached", waits},
	{scheduler.Pattern(`(?i)queue not started|not in a running state`), "its queue starts no jobs now", waits},
	{scheduler.Pattern(`^(?:job held, too many failed|Job held, too many unsuccessful) attempts`), "it could not be started", scheduler.LaunchFailed},
	{scheduler.Pattern(`(?i)dedicated|primetime|reservation`), "the machine is reserved for others now", waits},
}

// reasonOf explains why a job waits. A held job stays held whatever the comment
// of an earlier look says, unless PBS itself holds it because it failed to start.
func reasonOf(a attributes, row state) scheduler.Reason {
	r := scheduler.Reason{Name: a["job_state"], Description: row.words, Hope: row.hope}
	for _, c := range comments {
		if !c.form().MatchString(a["comment"]) || (row.hope == held && c.hope != scheduler.LaunchFailed) {
			continue
		}
		return scheduler.Reason{Name: a["comment"], Description: c.text, Hope: c.hope}
	}
	if a["comment"] != "" {
		r.Name = a["comment"]
	}
	return r
}
