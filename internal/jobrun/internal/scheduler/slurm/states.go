package slurm

import (
	"path"
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

const (
	exited, systemFailure                     = scheduler.Exited, scheduler.SystemFailure
	queued, held, unsatisfiable, launchFailed = scheduler.Queued, scheduler.Held, scheduler.Unsatisfiable, scheduler.LaunchFailed
)

// states are Slurm's, from JOB STATE CODES of squeue(1) and sacct(1).
func states() map[string]scheduler.Row {
	return map[string]scheduler.Row{
		"BOOT_FAIL":     scheduler.Ends(systemFailure, "a node could not be booted"),
		"CANCELLED":     scheduler.Ends(scheduler.Cancelled, "it was cancelled"),
		"COMPLETED":     scheduler.Ends(exited, "it completed"),
		"CONFIGURING":   scheduler.Waits(queued, "its nodes are being prepared"),
		"COMPLETING":    scheduler.Completes("it is completing"),
		"DEADLINE":      scheduler.Ends(scheduler.Deadline, "its deadline passed"),
		"EXPEDITING":    scheduler.Waits(queued, "it starts again at once"),
		"FAILED":        scheduler.Ends(exited, "it failed"),
		"LAUNCH_FAILED": scheduler.Ends(systemFailure, "it could not be launched on its node"),
		"NODE_FAIL":     scheduler.Ends(systemFailure, "a node of it failed"),
		"OUT_OF_MEMORY": scheduler.Ends(scheduler.MemoryLimit, "it used more memory than it requested"),
		"PENDING":       scheduler.Waits(queued, "it is waiting in the queue"),
		"POWER_UP_NODE": scheduler.Waits(queued, "its nodes are being powered up"),
		"PREEMPTED":     scheduler.Ends(systemFailure, "it was preempted"),
		"RECONFIG_FAIL": scheduler.Ends(systemFailure, "its node could not be configured"),
		"REQUEUED":      scheduler.Waits(queued, "it was put back into the queue"),
		"REQUEUE_FED":   scheduler.Waits(queued, "it was put back into the queue"),
		"REQUEUE_HOLD":  scheduler.Waits(held, "it was put back into the queue and is held"),
		"RESIZING":      scheduler.Runs("it is being resized"),
		"RESV_DEL_HOLD": scheduler.Waits(held, "its reservation was deleted and it is held"),
		// Another cluster of the federation has the job, whose record shows how it is.
		"REVOKED":      {Description: "another cluster runs it"},
		"RUNNING":      scheduler.Runs("it is running"),
		"SIGNALING":    scheduler.Runs("it is being signalled"),
		"SPECIAL_EXIT": scheduler.Waits(held, "it was put back into the queue in a special state"),
		"STAGE_OUT":    scheduler.Completes("its files are staged out"),
		"STOPPED":      scheduler.Suspends("it was stopped"),
		"SUSPENDED":    scheduler.Suspends("it is suspended"),
		"TIMEOUT":      scheduler.Ends(scheduler.TimeLimit, "it ran longer than its time limit"),
		"UPDATE_DB":    scheduler.Completes("its record is being written"),
	}
}

// reasons are why a job is pending, from JOB REASON CODES of squeue(1) and
// https://slurm.schedmd.com/job_reason_codes.html; the first match counts.
var reasons = []struct {
	names, text string
	kind        scheduler.PendingKind
}{
	{"None WaitingForScheduling", "the scheduler has not considered it yet", queued},
	{"Priority", "other jobs are ahead of it", queued},
	{"Resources", "it waits for resources to become free", queued},
	{"BeginTime", "its start time has not been reached", queued},
	{"Dependency", "it depends on a job that has not ended", queued},
	{"DependencyNeverSatisfied", "it depends on a job that will never end as required", unsatisfiable},
	{"Licenses", "it waits for a licence", queued},
	{"NodeDown FrontEndDown Nodes?required*", "nodes that it needs are down, drained or reserved", queued},
	{"BadConstraints", "no node has what it requests", unsatisfiable},
	{"PartitionConfig", "it requests more than its partition's nodes have", unsatisfiable},
	{"PartitionNodeLimit", "it requests more nodes than its partition allows", unsatisfiable},
	{"PartitionTimeLimit", "it requests more time than its partition allows", unsatisfiable},
	{"PartitionDown PartitionInactive", "its partition is down and starts no jobs", queued},
	{"AccountNotAllowed", "its account may not use the partition", unsatisfiable},
	{"QOSNotAllowed", "its quality of service may not be used there", unsatisfiable},
	{"InvalidAccount", "its account is not valid", unsatisfiable},
	{"InvalidQOS", "its quality of service is not valid", unsatisfiable},
	{"QOSMin*", "it requests less than its quality of service requires", unsatisfiable},
	{"*PerJob*", "it requests more than one job may have", unsatisfiable},
	{"*MaxWallDuration*", "it requests more time than one job may have", unsatisfiable},
	{"Assoc*", "its account has reached a limit", queued},
	{"QOS*", "its quality of service has reached a limit", queued},
	{"JobHeldUser", "it is held; release it with scontrol release", held},
	{"JobHeldAdmin", "it is held by an administrator", held},
	{"JobHoldMaxRequeue JobLaunchFailure launch*failed*", "it could not be started", launchFailed},
	{"ReqNodeNotAvail*", "a node that it requests is not available", queued},
	{"Reservation", "its reservation has not started", queued},
	{"ReservationDeleted", "its reservation was deleted", held},
	{"Prolog Cleaning", "its nodes are being prepared", queued},
}

// reasonOf explains one reason; Slurm may add details after a comma.
func reasonOf(name string) scheduler.Reason {
	word, _, _ := strings.Cut(name, ",")
	for _, r := range reasons {
		for pattern := range strings.FieldsSeq(r.names) {
			if ok, _ := path.Match(pattern, word); ok {
				return scheduler.Reason{Name: name, Description: r.text, Kind: r.kind}
			}
		}
	}
	return scheduler.Reason{Name: name, Description: name}
}
