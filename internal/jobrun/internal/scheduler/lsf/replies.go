package lsf

import "jacamar-ci/internal/jobrun/internal/scheduler"

// replies are the answers of bsub. It closes a failed submission with the line
// "X. Job not submitted." where X is a text of lsb_errmsg (lsb.err.c of the
// published lsbatch library), with the name that was wrong before it: "NAME: X".
// An esub prints what it likes, before that line. The texts about daemons that do
// not answer are those of lserrno(3) and of IBM's command reference.
var replies = scheduler.SubmitPatterns{
	ID:    scheduler.Pattern(`^Job <([1-9][0-9]{0,9})> is submitted to (?:default )?queue <.*>\.$`),
	Error: scheduler.Pattern(`^(.*\. Job not submitted\.|(?:User|Group|Project|Cluster|Queue|Job group)? ?(?:<.*>: )?Pending (?:job|slot) threshold reached\..*|Cannot connect to LSF\..*|LSF is down\..*|(?:LSF |Batch |batch )?(?:system )?daemon not responding.*|Failed in an LSF library call: .*|Request from non-LSF host rejected\.?|.*lsf\.conf.*)$`),
	Unreachable: scheduler.Sentences(
		daemon(`Cannot connect to LSF\. Please wait \.\.\.`), daemon(`LSF is down\. Please wait \.\.\.`),
		daemon(`(?:Failed in an LSF library call: )?(?:LIM is down; try later|Request from (?:a )?non-LSF host rejected|Communication down|Connection refused by server)`),
		daemon(`Batch service not registered`), daemon(`Timeout on connect call to server`), daemon(`Server is not connected`),
		`(?:lsf\.conf|/.*/lsf\.conf): (?:No such file or directory|not found).*`, `Cannot open (?:lsf\.conf|/.*/lsf\.conf).*`,
	),
	Full: scheduler.Sentences(
		`(?:(?:User|Group|Project|Cluster|Queue|Job group) )?(?:<[^>]*>: )?Pending (?:job|slot) threshold reached\.(?: Retrying in [0-9]+ seconds\.*)?(?: Job not submitted\.)?`,
		`(?:[^:]*: )?(?:The destination queue has reached its job limit|Job group limit reached)\. Job not submitted\.`,
	),
	Uncertain: scheduler.Sentences(
		daemon(`(?:Contacting batch daemon: )?Communication timeout`), daemon(`Batch protocol error`), daemon(`XDR encode/decode error`),
		daemon(`End of file`), daemon(`(?:Master batch daemon|Batch library) internal error`), daemon(`Operation is in progress`),
		`(?:LSF |Batch |batch )?(?:system )?daemon not responding ?\.\.\. ?still trying.*`,
		daemon(`Failed in an LSF library call(?:: .*)?`), daemon(`System call failed(?:: .*)?`), daemon(`Child process died`),
	),
}

// daemon is the form of a text that has no name before it.
func daemon(text string) string { return `(?:` + text + `)(?:\. Job not submitted\.)?` }

// ParseSubmit implements scheduler.Scheduler.
func (LSF) ParseSubmit(r scheduler.Reply) scheduler.Submission { return replies.Classify(r) }
