package slurm

import (
	"path"
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

type state struct {
	phase scheduler.Phase
	class scheduler.Class
	hope  scheduler.PendingKind
	words string
}

const (
	pending, running, completing, done = scheduler.Pending, scheduler.Running, scheduler.Completing, scheduler.Done
	ended, lost                        = scheduler.Ended, scheduler.Lost
	waits, held, never, broken         = scheduler.Queued, scheduler.Held, scheduler.Unsatisfiable, scheduler.LaunchFailed
)

// states are Slurm's, from JOB STATE CODES of squeue(1) and sacct(1).
var states = map[string]state{
	"BOOT_FAIL":     {done, lost, 0, "a node could not be booted"},
	"CANCELLED":     {done, scheduler.Cancelled, 0, "it was cancelled"},
	"COMPLETED":     {done, ended, 0, "it completed"},
	"CONFIGURING":   {pending, 0, waits, "its nodes are being made ready"},
	"COMPLETING":    {completing, 0, 0, "it is completing"},
	"DEADLINE":      {done, scheduler.Deadline, 0, "its deadline came first"},
	"EXPEDITING":    {pending, 0, waits, "it starts again at once"},
	"FAILED":        {done, ended, 0, "it failed"},
	"LAUNCH_FAILED": {done, lost, 0, "it could not be launched on its node"},
	"NODE_FAIL":     {done, lost, 0, "a node of it failed"},
	"OUT_OF_MEMORY": {done, scheduler.MemoryLimit, 0, "it used more memory than it had asked for"},
	"PENDING":       {pending, 0, waits, "it waits for its turn"},
	"POWER_UP_NODE": {pending, 0, waits, "its nodes are being powered up"},
	"PREEMPTED":     {done, lost, 0, "it made way for another job"},
	"RECONFIG_FAIL": {done, lost, 0, "its node could not be configured"},
	"REQUEUED":      {pending, 0, waits, "it was put back into the queue"},
	"REQUEUE_FED":   {pending, 0, waits, "it was put back into the queue"},
	"REQUEUE_HOLD":  {pending, 0, held, "it was put back into the queue and is held"},
	"RESIZING":      {running, 0, 0, "it changes its size"},
	"RESV_DEL_HOLD": {pending, 0, held, "its reservation was deleted and it is held"},
	"REVOKED":       {done, lost, 0, "another cluster took it over"},
	"RUNNING":       {running, 0, 0, "it is running"},
	"SIGNALING":     {running, 0, 0, "it is being signalled"},
	"SPECIAL_EXIT":  {pending, 0, held, "it was put back into the queue in a special state"},
	"STAGE_OUT":     {completing, 0, 0, "its files are staged out"},
	"STOPPED":       {running, 0, 0, "it was stopped"},
	"SUSPENDED":     {running, 0, 0, "it is suspended"},
	"TIMEOUT":       {done, scheduler.TimeLimit, 0, "it ran longer than its time limit"},
	"UPDATE_DB":     {completing, 0, 0, "its record is being written"},
}

// reasons are why a job is pending, from JOB REASON CODES of squeue(1) and
// https://slurm.schedmd.com/job_reason_codes.html; the first pattern that fits
// counts.
var reasons = []struct {
	names, text string
	hope        scheduler.PendingKind
}{
	{"None WaitingForScheduling", "the scheduler has not looked at it yet", waits},
	{"Priority", "other jobs are ahead of it", waits},
	{"Resources", "it waits for resources to become free", waits},
	{"BeginTime", "its begin time has not come", waits},
	{"Dependency", "it depends on a job that has not ended", waits},
	{"DependencyNeverSatisfied", "it depends on a job that will never end as demanded", never},
	{"Licenses", "it waits for a licence", waits},
	{"NodeDown FrontEndDown Nodes?required*", "nodes that it needs are down, drained or reserved", waits},
	{"BadConstraints", "no node has what it asks for", never},
	{"PartitionConfig", "it asks for more than its partition's nodes have", never},
	{"PartitionNodeLimit", "it asks for more nodes than its partition gives", never},
	{"PartitionTimeLimit", "it asks for more time than its partition gives", never},
	{"PartitionDown PartitionInactive", "its partition is down and starts no jobs", waits},
	{"AccountNotAllowed", "its account may not use the partition", never},
	{"QOSNotAllowed", "its quality of service may not be used there", never},
	{"InvalidAccount", "its account is not valid", never},
	{"InvalidQOS", "its quality of service is not valid", never},
	{"QOSMin*", "it asks for less than its quality of service demands", never},
	{"*PerJob*", "it asks for more than one job may have", never},
	{"*MaxWallDuration*", "it asks for more time than one job may have", never},
	{"Assoc*", "its account has reached a limit", waits},
	{"QOS*", "its quality of service has reached a limit", waits},
	{"JobHeldUser", "it is held; scontrol release lets it go", held},
	{"JobHeldAdmin", "an administrator holds it", held},
	{"JobHoldMaxRequeue JobLaunchFailure launch*failed*", "it could not be started", broken},
	{"ReqNodeNotAvail*", "a node that it asks for is not available", waits},
	{"Reservation", "its reservation has not begun", waits},
	{"ReservationDeleted", "its reservation was deleted", held},
	{"Prolog Cleaning", "its nodes are being made ready", waits},
}

// reasonOf explains one reason; Slurm may add details after a comma.
func reasonOf(name string) scheduler.Reason {
	word, _, _ := strings.Cut(name, ",")
	for _, r := range reasons {
		for pattern := range strings.FieldsSeq(r.names) {
			if ok, _ := path.Match(pattern, word); ok {
				return scheduler.Reason{Name: name, Description: r.text, Hope: r.hope}
			}
		}
	}
	return scheduler.Reason{Name: name, Description: name}
}
