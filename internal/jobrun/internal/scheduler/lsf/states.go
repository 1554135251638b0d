package lsf

import (
	"regexp"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

const (
	queued, held, unsatisfiable = scheduler.Queued, scheduler.Held, scheduler.Unsatisfiable
	systemFailure, cancelled    = scheduler.SystemFailure, scheduler.Cancelled
)

// states are the values of STAT in IBM's description of bjobs. UNKWN is left out: LSF has
// lost contact with the node, which means Unknown.
func states() map[string]scheduler.Row {
	return map[string]scheduler.Row{
		"PEND":  scheduler.Waits(queued, "it is waiting in the queue"),
		"PROV":  scheduler.Waits(queued, "its nodes are being powered up"),
		"WAIT":  scheduler.Waits(queued, "it waits for another part of its job"),
		"PSUSP": scheduler.Waits(held, "it is held; release it with bresume"),
		"RUN":   scheduler.Runs("it is running"),
		"USUSP": scheduler.Suspends("it was suspended"),
		"SSUSP": scheduler.Suspends("it was suspended by LSF"),
		"DONE":  scheduler.Ends(scheduler.Exited, "it completed"),
		"EXIT":  scheduler.Ends(scheduler.Exited, "it failed"),
		"ZOMBI": scheduler.Ends(systemFailure, "its node was lost"),
	}
}

// terminations are the reasons that LSF records ("Termination reasons displayed by bacct,
// bhist and bjobs" of its 10.1 administration guide). TERM_UNKNOWN is never shown, and
// for a signal from outside LSF the exit status suffices.
func terminations() map[string]scheduler.Row {
	return map[string]scheduler.Row{
		"TERM_RUNLIMIT":        scheduler.Ends(scheduler.TimeLimit, "it ran longer than its run time limit"),
		"TERM_CPULIMIT":        scheduler.Ends(scheduler.TimeLimit, "it used more processor time than its limit"),
		"TERM_MEMLIMIT":        scheduler.Ends(scheduler.MemoryLimit, "it used more memory than its limit"),
		"TERM_SWAP":            scheduler.Ends(scheduler.MemoryLimit, "it used more swap space than its limit"),
		"TERM_PROCESSLIMIT":    scheduler.Ends(scheduler.Exited, "it had more processes than its limit"),
		"TERM_THREADLIMIT":     scheduler.Ends(scheduler.Exited, "it had more threads than its limit"),
		"TERM_DEADLINE":        scheduler.Ends(scheduler.Deadline, "its deadline passed"),
		"TERM_WINDOW":          scheduler.Ends(scheduler.Deadline, "its queue's run window closed"),
		"TERM_OWNER":           scheduler.Ends(cancelled, "it was killed by its owner"),
		"TERM_FORCE_OWNER":     scheduler.Ends(cancelled, "it was killed by its owner"),
		"TERM_ADMIN":           scheduler.Ends(cancelled, "an administrator killed it"),
		"TERM_FORCE_ADMIN":     scheduler.Ends(cancelled, "an administrator killed it"),
		"TERM_BUCKET_KILL":     scheduler.Ends(cancelled, "it was killed"),
		"TERM_CHKPNT":          scheduler.Ends(cancelled, "it was killed after a checkpoint"),
		"TERM_ORPHAN_SYSTEM":   scheduler.Ends(cancelled, "a job that it depended on failed"),
		"TERM_REMOVE_HUNG_JOB": scheduler.Ends(systemFailure, "LSF removed it as hung"),
		"TERM_PREEMPT":         scheduler.Ends(systemFailure, "it was preempted"),
		"TERM_LOAD":            scheduler.Ends(systemFailure, "its node was overloaded"),
		"TERM_ZOMBIE":          scheduler.Ends(systemFailure, "it ended while LSF was down"),
		"TERM_REQUEUE_OWNER":   scheduler.Ends(systemFailure, "it was put back into the queue"),
		"TERM_REQUEUE_ADMIN":   scheduler.Ends(systemFailure, "it was put back into the queue"),
		"TERM_OTHER":           scheduler.Ends(systemFailure, "it was put back into the queue"),
		"TERM_CWD_NOTEXIST":    scheduler.Ends(systemFailure, "its working directory does not exist"),
		"TERM_PRE_EXEC_FAIL":   scheduler.Ends(systemFailure, "its node could not be prepared"),
		"TERM_DATA":            scheduler.Ends(systemFailure, "its data could not be staged"),
		"TERM_RC":              scheduler.Ends(systemFailure, "its node was reclaimed"),
		"TERM_MC_RECALL":       scheduler.Ends(systemFailure, "another cluster returned it"),
		"TERM_RMS":             scheduler.Ends(systemFailure, "its nodes' resource manager ended it"),
		"TERM_SLURM":           scheduler.Ends(systemFailure, "a node of it failed"),
		"TERM_CSM_ALLOC":       scheduler.Ends(systemFailure, "its nodes could not be allocated"),
		"TERM_KUBE":            scheduler.Ends(systemFailure, "Kubernetes ended it"),
	}
}

// pendingReasons explain why a job is pending; the first match counts. The texts are
// those of lsbatch.h and of recorded output of bjobs -p.
var pendingReasons = []struct {
	form func() *regexp.Regexp
	text string
	kind scheduler.PendingKind
}{
	{scheduler.Pattern(`(?:^|; ?)(?:Job d|D)ependency condition invalid or never satisfied`), "it depends on a job that will never end as required", unsatisfiable},
	{scheduler.Pattern(`(?i)dependency condition not satisfied`), "it depends on a job that has not ended", queued},
	{scheduler.Pattern(`(?i)suspended by (?:the )?user`), "it is held; release it with bresume", held},
	{scheduler.Pattern(`(?i)suspended by (?:\w+ )?admin`), "it is held by an administrator", held},
	{scheduler.Pattern(`(?i)limit`), "a limit of its user or queue is reached", queued},
	{scheduler.Pattern(`(?i)not enough|requirements? .*not satisfied|no suitable hosts`), "it waits for resources to become free", queued},
	{scheduler.Pattern(`(?i)queue is inactivated|windows? (?:is )?closed`), "its queue starts no jobs now", queued},
	{scheduler.Pattern(`(?i)new job|waiting for (?:re-?)?scheduling`), "the scheduler has not considered it yet", queued},
	{scheduler.Pattern(`(?i)specified start time`), "its start time has not been reached", queued},
	{scheduler.Pattern(`(?i)closed by|load information|unreach|not (?:the )?same type|locked`), "no node that is up now has what it requests", queued},
}

func reasonOf(text string, row scheduler.Row) scheduler.Reason {
	r := scheduler.Reason{Name: text, Description: row.Description, Kind: row.Kind}
	if text == "" {
		r.Name = "PEND"
	}
	if row.Kind == held {
		return r
	}
	for _, p := range pendingReasons {
		if p.form().MatchString(text) {
			r.Description, r.Kind = p.text, p.kind
			break
		}
	}
	return r
}
