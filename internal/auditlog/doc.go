// Package auditlog writes the operator's log: who was allowed to run what, as
// whom, by which rule, and how each stage ended. One record is one line of JSON.
//
// Every record has
//
//	time      RFC 3339, with the host's offset
//	level     debug, info, warning or error
//	event     decision, stage_end, warning or rule
//	msg       the record in words
//	name      the instance, as in general.name; left out without one
//	seq       its number on this host, taken before it is written
//	call      the call that wrote it: process id and start
//	call_seq  its number in that call, whose last record is the stage_end
//
// and, as far as it is known at that point,
//
//	stage, sub_stage            what the runner called
//	job, pipeline               GitLab's numbers
//	project, project_id         the project that the job runs in
//	login, user_id              who caused the job
//	runner                      the runner's number at GitLab
//	account, uid                the local account
//	jti                         the first 8 characters of the token's id
//
// A decision adds decision (allow or deny), rule and reason; the end of a stage
// adds exit (ok, build, denied, config or system), exit_code (the script's own,
// where it failed), duration in seconds and reason; a rule, which only the level
// debug has, adds rule, outcome and reason.
//
// Control characters, and those that change the direction of text, are written
// as escapes, so no value can begin a line or a record of its own. No record has
// a token: what this package is given are verified claims and its own words.
//
// A record that cannot be written is lost, and said so once; it never stops a job.
package auditlog
