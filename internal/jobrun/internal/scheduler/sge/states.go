package sge

import "jacamar-ci/internal/jobrun/internal/scheduler"

// known are the letters that qstat(1) has for a job's state.
const known = "dEhrRsStTwqNP"

// states are what the letters mean, the weightiest first.
var states = []struct {
	letter string
	phase  scheduler.Phase
	hope   scheduler.PendingKind
	words  string
}{
	{"E", scheduler.Pending, scheduler.LaunchFailed, "it could not be started; qstat -j says why"},
	{"d", scheduler.Completing, 0, "it is being deleted"},
	{"h", scheduler.Pending, scheduler.Held, "it is held; qrls lets it go"},
	{"w", scheduler.Pending, scheduler.Queued, "it waits for its turn"},
	{"r", scheduler.Running, 0, "it is running"},
	{"t", scheduler.Running, 0, "it is on its way to its node"},
	{"s", scheduler.Running, 0, "it is suspended"},
	{"S", scheduler.Running, 0, "it is suspended with its queue"},
	{"T", scheduler.Running, 0, "it is suspended because its node is busy"},
	{"N", scheduler.Running, 0, "it is suspended"},
	{"P", scheduler.Running, 0, "it made way for another job for a while"},
}

type failure struct {
	class scheduler.Class
	words string
}

// failures are the values of "failed" in the accounting that do not mean that
// Grid Engine could not run the job (accounting(5), sge_diagnostics(1)). With 100
// the job's first process was killed, by qdel or by somebody on the node; it
// cannot be told apart.
var failures = map[int]failure{
	0:   {scheduler.Ended, "it ended"},
	37:  {scheduler.TimeLimit, "it exceeded h_rt, h_cpu or h_vmem"},
	44:  {scheduler.TimeLimit, "it exceeded h_rt, h_cpu or h_vmem"},
	25:  {scheduler.Lost, "it is to run again"},
	100: {scheduler.Cancelled, "it was deleted or killed"},
}
