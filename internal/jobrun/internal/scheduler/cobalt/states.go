package cobalt

import "jacamar-ci/internal/jobrun/internal/scheduler"

type state struct {
	phase scheduler.Phase
	hope  scheduler.PendingKind
	words string
}

// states are those that Cobalt's queue manager tells qstat. A job that has ended is
// not shown but for a moment.
var states = map[string]state{
	"queued":      {scheduler.Pending, scheduler.Queued, "it waits for its turn"},
	"starting":    {scheduler.Running, 0, "it is starting"},
	"running":     {scheduler.Running, 0, "it is running"},
	"exiting":     {scheduler.Completing, 0, "it is exiting"},
	"killing":     {scheduler.Completing, 0, "it is being ended"},
	"done":        {scheduler.Completing, 0, "it is over"},
	"preempting":  {scheduler.Running, 0, "it makes way for another job"},
	"preempted":   {scheduler.Running, 0, "it made way for another job for a while"},
	"user_hold":   {scheduler.Pending, scheduler.Held, "it is held; qrls lets it go"},
	"admin_hold":  {scheduler.Pending, scheduler.Held, "an administrator holds it"},
	"maxrun_hold": {scheduler.Pending, scheduler.Queued, "its user runs as many jobs as the queue lets"},
	"dep_hold":    {scheduler.Pending, scheduler.Queued, "it depends on a job that has not ended"},
	"dep_fail":    {scheduler.Pending, scheduler.Unsatisfiable, "it depends on a job that failed"},
}
