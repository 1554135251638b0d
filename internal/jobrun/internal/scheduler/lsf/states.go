package lsf

import (
	"regexp"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

type stateRow struct {
	phase       scheduler.Phase
	class       scheduler.Class
	kind        scheduler.PendingKind
	description string
}

const (
	pending, running, done      = scheduler.Pending, scheduler.Running, scheduler.Done
	queued, held, unsatisfiable = scheduler.Queued, scheduler.Held, scheduler.Unsatisfiable
	systemFailure, cancelled    = scheduler.SystemFailure, scheduler.Cancelled
)

// states are the values of STAT in IBM's description of bjobs. UNKWN is left out: LSF has
// lost contact with the node, which means Unknown.
func states() map[string]stateRow {
	return map[string]stateRow{
		"PEND":  {pending, 0, queued, "it is waiting in the queue"},
		"PROV":  {pending, 0, queued, "its nodes are being powered up"},
		"WAIT":  {pending, 0, queued, "it waits for another part of its job"},
		"PSUSP": {pending, 0, held, "it is held; release it with bresume"},
		"RUN":   {running, 0, 0, "it is running"},
		"USUSP": {running, 0, 0, "it was suspended"},
		"SSUSP": {running, 0, 0, "it was suspended by LSF"},
		"DONE":  {done, scheduler.Exited, 0, "it completed"},
		"EXIT":  {done, scheduler.Exited, 0, "it failed"},
		"ZOMBI": {done, systemFailure, 0, "its node was lost"},
	}
}

type termination struct {
	class       scheduler.Class
	description string
}

// terminations are the reasons that LSF records ("Termination reasons displayed by bacct,
// bhist and bjobs" of its 10.1 administration guide). TERM_UNKNOWN is never shown, and
// for a signal from outside LSF the exit status suffices.
func terminations() map[string]termination {
	return map[string]termination{
		"TERM_RUNLIMIT":        {scheduler.TimeLimit, "it ran longer than its run time limit"},
		"TERM_CPULIMIT":        {scheduler.TimeLimit, "it used more processor time than its limit"},
		"TERM_MEMLIMIT":        {scheduler.MemoryLimit, "it used more memory than its limit"},
		"TERM_SWAP":            {scheduler.MemoryLimit, "it used more swap space than its limit"},
		"TERM_PROCESSLIMIT":    {scheduler.Exited, "it had more processes than its limit"},
		"TERM_THREADLIMIT":     {scheduler.Exited, "it had more threads than its limit"},
		"TERM_DEADLINE":        {scheduler.Deadline, "its deadline passed"},
		"TERM_WINDOW":          {scheduler.Deadline, "its queue's run window closed"},
		"TERM_OWNER":           {cancelled, "it was killed by its owner"},
		"TERM_FORCE_OWNER":     {cancelled, "it was killed by its owner"},
		"TERM_ADMIN":           {cancelled, "an administrator killed it"},
		"TERM_FORCE_ADMIN":     {cancelled, "an administrator killed it"},
		"TERM_BUCKET_KILL":     {cancelled, "it was killed"},
		"TERM_CHKPNT":          {cancelled, "it was killed after a checkpoint"},
		"TERM_ORPHAN_SYSTEM":   {cancelled, "a job that it depended on failed"},
		"TERM_REMOVE_HUNG_JOB": {systemFailure, "LSF removed it as hung"},
		"TERM_PREEMPT":         {systemFailure, "it was preempted"},
		"TERM_LOAD":            {systemFailure, "its node was overloaded"},
		"TERM_ZOMBIE":          {systemFailure, "it ended while LSF was down"},
		"TERM_REQUEUE_OWNER":   {systemFailure, "it was put back into the queue"},
		"TERM_REQUEUE_ADMIN":   {systemFailure, "it was put back into the queue"},
		"TERM_OTHER":           {systemFailure, "it was put back into the queue"},
		"TERM_CWD_NOTEXIST":    {systemFailure, "its working directory does not exist"},
		"TERM_PRE_EXEC_FAIL":   {systemFailure, "its node could not be prepared"},
		"TERM_DATA":            {systemFailure, "its data could not be staged"},
		"TERM_RC":              {systemFailure, "its node was reclaimed"},
		"TERM_MC_RECALL":       {systemFailure, "another cluster returned it"},
		"TERM_RMS":             {systemFailure, "its nodes' resource manager ended it"},
		"TERM_SLURM":           {systemFailure, "a node of it failed"},
		"TERM_CSM_ALLOC":       {systemFailure, "its nodes could not be allocated"},
		"TERM_KUBE":            {systemFailure, "Kubernetes ended it"},
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

func reasonOf(text string, row stateRow) scheduler.Reason {
	r := scheduler.Reason{Name: text, Description: row.description, Kind: row.kind}
	if text == "" {
		r.Name = "PEND"
	}
	if row.kind == held {
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
