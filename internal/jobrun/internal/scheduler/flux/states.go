package flux

import "jacamar-ci/internal/jobrun/internal/scheduler"

type state struct {
	phase scheduler.Phase
	words string
}

// states are those of RFC 21 of the Flux framework. NEW and the like pass in a
// moment.
var states = map[string]state{
	"NEW":      {scheduler.Pending, "Flux takes it in"},
	"DEPEND":   {scheduler.Pending, "it depends on something that has not happened"},
	"PRIORITY": {scheduler.Pending, "its priority is not settled"},
	"SCHED":    {scheduler.Pending, "it waits for resources to become free"},
	"RUN":      {scheduler.Running, "it is running"},
	"CLEANUP":  {scheduler.Completing, "it is completing"},
	"INACTIVE": {scheduler.Done, "it ended"},
}

type end struct {
	class scheduler.Class
	words string
	hope  scheduler.PendingKind
}

// results are those of flux-jobs(1).
var results = map[string]end{
	"COMPLETED": {scheduler.Ended, "it completed", 0},
	"FAILED":    {scheduler.Ended, "it failed", 0},
	"CANCELED":  {scheduler.Cancelled, "it was cancelled", 0},
	"TIMEOUT":   {scheduler.TimeLimit, "it ran longer than its time limit", 0},
}

// exceptions are the types that fail a job before or beside its script (RFC 21,
// flux-job-exceptions(7)). What is allocated or depended upon and can never be is
// the request's fault.
var exceptions = map[string]end{
	"alloc":        {scheduler.Ended, "it asks for more than there is", scheduler.Unsatisfiable},
	"dependency":   {scheduler.Ended, "it depends on a job that will never end as demanded", scheduler.Unsatisfiable},
	"exec":         {scheduler.Lost, "it could not be started, or its node was lost", 0},
	"node-failure": {scheduler.Lost, "a node of it failed", 0},
	"prolog":       {scheduler.Lost, "its nodes could not be made ready", 0},
	"epilog":       {scheduler.Ended, "its nodes could not be cleaned up", 0},
	"start":        {scheduler.Lost, "it could not be started", 0},
	"preempt":      {scheduler.Lost, "it made way for another job", 0},
	"scheduler":    {scheduler.Lost, "the scheduler failed", 0},
}
