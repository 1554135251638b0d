package batch

import (
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// maxPendingReports bounds the reports about a pending job, so that the limit on notes
// leaves some for its start and end.
const maxPendingReports = 40

// report reports the job's phase to jacamar-auth, for the administrators.
func (r *submittedJob) report(n ipc.BatchNote) {
	if r.Note == nil {
		return
	}
	n.System, n.ID = r.Scheduler.Name(), r.shown()
	n.Waited = max(r.startStatus.at.Sub(r.submitted), 0).Round(time.Millisecond).Seconds() // negative before a start
	n.Node = first(r.state.Nodes, r.startStatus.node)
	r.Note(n)
}

// reportWaiting reports why the job is pending, when that has changed.
func (r *submittedJob) reportWaiting() {
	if r.reason == r.state.Reason.Description && r.pendingReports > 0 || r.pendingReports == maxPendingReports {
		return
	}
	r.reason = r.state.Reason.Description
	r.pendingReports++
	r.report(ipc.BatchNote{Phase: ipc.Pending, Reason: r.reason})
}

// reportEnd reports what the job has used: by the batch system's accounting, else by the
// times of the processes that the script has waited for on its node.
func (r *submittedJob) reportEnd(u scheduler.Usage) {
	n := ipc.BatchNote{Phase: ipc.Ended, CPU: u.CPU.Seconds(), Peak: u.Memory}
	if u.CPU == 0 && r.endStatus != nil {
		n.CPU = r.endStatus.cpu.Seconds()
	}
	r.report(n)
}
