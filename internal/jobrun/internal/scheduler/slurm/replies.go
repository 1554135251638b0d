package slurm

import (
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// replies are the answers of sbatch. It closes a failed submission with the line
// "Batch job submission failed: X" (src/sbatch/sbatch.c), where X is an error of
// slurm_errtab (src/common/slurm_errno.c) or of strerror(3), never a text of the
// site; plugins and the controller's own details come before it. The tables are
// those of Slurm 20.11 to 26.05.
var replies = scheduler.SubmitPatterns{
	ID:    scheduler.Pattern(`^(?:Submitted batch job )?([1-9][0-9]{0,9}(?:;[A-Za-z0-9_.-]+)?)$`),
	Error: scheduler.Pattern(`^[\w.+-]+: (?:error: Batch job submission failed|fatal): (.*)$`),
	Unreachable: scheduler.Sentences(
		// Of the configuration, before a request is made.
		`Unable to process configuration file`, `Could not establish a configuration source`,
		// Of connect(2), before a request is sent.
		`Unable to contact slurm controller \(connect failure\)`, `Communication connection failure`,
		`Connection timed out establishing`, `Connection refused`, `No route to host`, `Network is unreachable`, `Host is unreachable`,
		// Of a controller that looked at nothing.
		`Slurm backup controller in standby mode`, `Controller is in standby mode, try a different controller`,
		`Rate limit exceeded, please retry (?:momentarily|later)`,
	),
	// MaxJobCount, after two minutes of sbatch's own tries.
	Full: scheduler.Sentences(`MaxJobCount limit reached`, `Resource temporarily unavailable`),
	Uncertain: scheduler.Sentences(
		`Socket timed out on send/recv operation`, `Zero Bytes were transmitted or received`,
		`Unable to contact slurm controller \((?:send|receive|shutdown) failure\)`,
		`Message (?:send|receive) failure`, `Communication shutdown failure`, `Unexpected message received`,
		`Unexpected missing socket error`, `Insane message length`, `Incompatible versions of client and server code`,
		authentication, `Invalid authentication credential`, `Authentication credential expired`,
		`Connection (?:rejected by handler|forced closed by quiesce timeout|timed out (?:writing|reading))`,
		`Kernel reported delayed socket error after successful write\(\), client side likely closed`,
		`Process is shutting down and closing all communications`,
		`Connection (?:reset by peer|timed out)`, `Broken pipe`, `Interrupted system call`, `Input/output error`,
		`Transport endpoint is not connected`, `No error`, `Success`,
	),
}

const (
	// authentication is the error of an answer that cannot be authenticated, and of
	// a request, which then was not sent.
	authentication = `Protocol authentication error`
	// policy stands for limits of every kind; the line before it names the limit.
	policy = `Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)`
)

var (
	// unsigned is printed by the authentication plugin when a request cannot be signed
	// (src/plugins/auth/munge/auth_munge.c).
	unsigned = scheduler.Pattern(`(?m)^[\w.+-]+: error: Munge encode failed: `)
	// submitLimit are the limits on the number of submitted jobs
	// (src/common/job_state_reason.c), with the error behind them.
	submitLimit = scheduler.Pattern(`(?m)^[\w.+-]+: error: (?:Assoc(?:Max|Grp)SubmitJobs?Limit|QOS(?:MaxSubmitJobPerUser|GrpSubmitJobs)Limit|MaxSubmitJobsPerAccount)\n` +
		`[\w.+-]+: error: Batch job submission failed: Job violates accounting/QOS policy`)
)

// ParseSubmit implements scheduler.Scheduler.
func (Slurm) ParseSubmit(r scheduler.Reply) scheduler.Submission {
	s := replies.Classify(r)
	output := strings.ReplaceAll(r.Stderr+"\n"+r.Stdout, "\r\n", "\n")
	switch {
	case s.Error == authentication && unsigned().MatchString(output):
		s.Verdict = scheduler.Unreachable
	case s.Error == policy && submitLimit().MatchString(output):
		s.Verdict = scheduler.Full
	}
	return s
}
