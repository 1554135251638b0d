package pbs

import "jacamar-ci/internal/jobrun/internal/scheduler"

// replies are the answers of qsub. OpenPBS prints "qsub: X" and returns the error
// number modulo 256 (src/cmds/qsub.c); X is a text of src/lib/Liblog/pbs_messages.c,
// of src/lib/Libdis/dis.c, or a hook's own. Torque prints "qsub: submit error (X)",
// with details behind MSG= (src/cmds/qsub_functions.c, src/include/pbs_error_db.h).
var replies = scheduler.SubmitPatterns{
	ID:    scheduler.Pattern(`^([0-9]{1,12}(?:\.[A-Za-z0-9_.-]+)?)$`),
	Error: scheduler.Pattern(`^qsub: (.*)$`),
	First: true,
	Unreachable: scheduler.Sentences(
		`cannot connect to server \S* ?\(errno=-?[0-9]+\).*`,
		torqueError(`Could not connect to batch server|Can not establish connection|could not connect to trqauthd|Could not resolve host name|Unable to get connection to socket|No server specified`),
		torqueError(`Pbs Server is currently too busy to service this request\. Please retry this request\.|Client connection not found\..*`),
		`Request not allowed: Server shutting down`, torqueError(`Request not allowed: Server shutting down`),
		`No free connections`, `Server connection table full`,
	),
	Full: scheduler.Sentences(
		`Maximum number of jobs (?:in 'Q' state )?(?:for (?:user|group|project) \S+ )?already in (?:complex|queue(?: \S+)?)`,
		`would exceed (?:complex's|queue \S+'s) per-(?:user|group|project) limit(?: of jobs in 'Q' state)?`,
		`would exceed (?:(?:per-)?(?:user|group|project)(?: \S+'s)? )?limit on resource \S+ in (?:complex|queue \S+)(?: for jobs in 'Q' state)?`,
		torqueError(`Maximum number of jobs already in queue(?: for user)?`),
	),
	Uncertain: scheduler.Sentences(
		`End of File`, `Premature end of message`, `(?:Supporting )?[Pp]rotocol failure(?: in commit)?`, `Batch protocol error`, `Bad DIS based Request Protocol`,
		`PBS server internal error`, `System error: ?`, `Expired credential`, `Error \([0-9]+\) submitting job`, `Error -?[0-9]+`,
		torqueError(`Time out|Premature End of File|Error in socket select|Error (?:writing|reading) data (?:to|from) socket|Socket close detected|Batch protocol error|Bad DIS based Request Protocol|PBS server internal error| ?System error: ?|Expired credential`),
		`Error \([0-9]+ - .*\) submitting job`,
	),
}

// torqueError is the form of what Torque says of one of the errors.
func torqueError(texts string) string { return `submit error \((?:` + texts + `)(?: MSG=.*)?\)` }

// hookCodes are the exit statuses for PBSE_HOOKERROR and PBSE_HOOK_REJECT
// (src/include/pbs_error.h): the text is a hook's, whatever it says.
var hookCodes = map[int]bool{(15136 & 0xff): true, (15169 & 0xff): true}

// ParseSubmit implements scheduler.Scheduler.
func (PBS) ParseSubmit(r scheduler.Reply) scheduler.Submission {
	s := replies.Classify(r)
	if r.Err == nil && hookCodes[r.Code] && s.Error != "" {
		s.Verdict = scheduler.Refused
	}
	return s
}
