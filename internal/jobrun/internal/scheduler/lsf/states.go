package lsf

import (
	"regexp"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

type state struct {
	phase scheduler.Phase
	class scheduler.Class
	hope  scheduler.PendingKind
	words string
}

const (
	pending, running, done = scheduler.Pending, scheduler.Running, scheduler.Done
	waits, held, never     = scheduler.Queued, scheduler.Held, scheduler.Unsatisfiable
	lost, cancelled        = scheduler.Lost, scheduler.Cancelled
)

// states are those of STAT in IBM's description of bjobs. UNKWN is not here: LSF
// has lost sight of the node, and what it does not know is Unknown.
var states = map[string]state{
	"PEND":  {pending, 0, waits, "it waits for its turn"},
	"PROV":  {pending, 0, waits, "its nodes are being powered up"},
	"WAIT":  {pending, 0, waits, "it waits for another part of its job"},
	"PSUSP": {pending, 0, held, "it is held; bresume lets it go"},
	"RUN":   {running, 0, 0, "it is running"},
	"USUSP": {running, 0, 0, "it was suspended"},
	"SSUSP": {running, 0, 0, "it was suspended by LSF"},
	"DONE":  {done, scheduler.Ended, 0, "it completed"},
	"EXIT":  {done, scheduler.Ended, 0, "it failed"},
	"ZOMBI": {done, lost, 0, "its node was lost"},
}

type termination struct {
	class scheduler.Class
	words string
}

// terminations are the reasons that LSF records ("Termination reasons displayed by
// bacct, bhist and bjobs" of its 10.1 administration guide). TERM_UNKNOWN is never
// shown, and for a signal from outside the exit status says it all.
var terminations = map[string]termination{
	"TERM_RUNLIMIT":        {scheduler.TimeLimit, "it ran longer than its run time limit"},
	"TERM_CPULIMIT":        {scheduler.TimeLimit, "it used more processor time than its limit"},
	"TERM_MEMLIMIT":        {scheduler.MemoryLimit, "it used more memory than its limit"},
	"TERM_SWAP":            {scheduler.MemoryLimit, "it used more swap space than its limit"},
	"TERM_PROCESSLIMIT":    {scheduler.Ended, "it had more processes than its limit"},
	"TERM_THREADLIMIT":     {scheduler.Ended, "it had more threads than its limit"},
	"TERM_DEADLINE":        {scheduler.Deadline, "its deadline came first"},
	"TERM_WINDOW":          {scheduler.Deadline, "its queue's run window closed"},
	"TERM_OWNER":           {cancelled, "it was killed by its owner"},
	"TERM_FORCE_OWNER":     {cancelled, "it was killed by its owner"},
	"TERM_ADMIN":           {cancelled, "an administrator killed it"},
	"TERM_FORCE_ADMIN":     {cancelled, "an administrator killed it"},
	"TERM_BUCKET_KILL":     {cancelled, "it was killed"},
	"TERM_CHKPNT":          {cancelled, "it was killed after a checkpoint"},
	"TERM_ORPHAN_SYSTEM":   {cancelled, "a job that it depended on failed"},
	"TERM_REMOVE_HUNG_JOB": {lost, "LSF removed it as hung"},
	"TERM_PREEMPT":         {lost, "it made way for another job"},
	"TERM_LOAD":            {lost, "its node was overloaded"},
	"TERM_ZOMBIE":          {lost, "it ended while LSF was away"},
	"TERM_REQUEUE_OWNER":   {lost, "it was put back into the queue"},
	"TERM_REQUEUE_ADMIN":   {lost, "it was put back into the queue"},
	"TERM_OTHER":           {lost, "it was put back into the queue"},
	"TERM_CWD_NOTEXIST":    {lost, "its working directory is not there"},
	"TERM_PRE_EXEC_FAIL":   {lost, "its node could not be made ready"},
	"TERM_DATA":            {lost, "its data could not be staged"},
	"TERM_RC":              {lost, "its node was taken back"},
	"TERM_MC_RECALL":       {lost, "another cluster gave it back"},
	"TERM_RMS":             {lost, "its nodes' resource manager ended it"},
	"TERM_SLURM":           {lost, "a node of it failed"},
	"TERM_CSM_ALLOC":       {lost, "its nodes could not be allocated"},
	"TERM_KUBE":            {lost, "Kubernetes ended it"},
}

// pendings explain why a job waits; the first that fits counts. The texts are
// those of lsbatch.h and of bjobs -p as others have recorded it.
var pendings = []struct {
	form func() *regexp.Regexp
	text string
	hope scheduler.PendingKind
}{
	{scheduler.Pattern(`(?:^|; ?)(?:Job d|D)ependency condition invalid or never satisfied`), "it depends on a job that will never end as demanded", never},
	{scheduler.Pattern(`(?i)dependency condition not satisfied`), "it depends on a job that has not ended", waits},
	{scheduler.Pattern(`(?i)suspended by (?:the )?user`), "it is held; bresume lets it go", held},
	{scheduler.Pattern(`(?i)suspended by (?:\w+ )?admin`), "an administrator holds it", held},
	{scheduler.Pattern(`(?i)limit`), "a limit of its user or queue is reached", waits},
	{scheduler.Pattern(`(?i)not enough|requirements? .*not satisfied|no suitable hosts`), "it waits for resources to become free", waits},
	{scheduler.Pattern(`(?i)queue is inactivated|windows? (?:is )?closed`), "its queue starts no jobs now", waits},
	{scheduler.Pattern(`(?i)new job|waiting for (?:re-?)?scheduling`), "the scheduler has not looked at it yet", waits},
	{scheduler.Pattern(`(?i)specified start time`), "its begin time has not come", waits},
	{scheduler.Pattern(`(?i)closed by|load information|unreach|not (?:the )?same type|locked`), "no node that is up now has what it asks for", waits},
}

func reasonOf(text string, row state) scheduler.Reason {
	r := scheduler.Reason{Name: text, Description: row.words, Hope: row.hope}
	if text == "" {
		r.Name = "PEND"
	}
	if row.hope == held {
		return r
	}
	for _, p := range pendings {
		if p.form().MatchString(text) {
			r.Description, r.Hope = p.text, p.hope
			break
		}
	}
	return r
}
