package sge

import "jacamar-ci/internal/jobrun/internal/scheduler"

// replies are the answers of qsub. It reports a failed submission as "Unable to run
// job: X" and "Exiting." (source/clients/qsub/msg_qsub.h); X is a text of qmaster
// (source/daemons/qmaster/msg_qmaster.h), of a job submission verifier, or of the
// communication library (source/libs/gdi/msg_gdilib.h), which also speaks alone,
// after "error: ".
var replies = scheduler.SubmitPatterns{
	ID:    scheduler.Pattern(`^(?:Your job )?([1-9][0-9]{0,9})(?: \(".*"\) has been submitted)?$`),
	Error: scheduler.Pattern(`^(?:Unable to run job: |Unable to initialize environment because of error: |error: |critical error: )(.*)$`),
	First: true,
	Unreachable: scheduler.Sentences(
		`commlib error: .*\(Connection refused\)`, `commlib error: can't (?:connect to service|resolve host name|create socket).*`, `SGE_ROOT directory ".*" doesn't exist`,
		`can't resolve host name.*`, `Please set the environment variable SGE_ROOT\.?`, `(?:error: )?unable to (?:contact|connect to) qmaster.*`,
		`unable to send message to qmaster using port [0-9]+ on host ".*": can't (?:connect to service|resolve host name|create socket)\.?`,
	),
	Full: scheduler.Sentences(
		`job rejected: only [0-9]+ jobs are allowed per (?:user \(current job count: [0-9]+\)|cluster)\.?`,
		`[Cc]ould not pass job now to DRM system\. A retry may succeed however \(saturation\)\.`,
	),
	Uncertain: scheduler.Sentences(
		`commlib error: .*`, `unable to send message to qmaster using port [0-9]+ on host ".*": .*`,
		`failed (?:sending gdi request|receiving gdi request response for mid=[0-9]+ \(.*\))\.?`, `got gdi request receive timeout`,
		`can't (?:send .* message to|receive message from) commproc .*`, `error unpacking gdi request: .*`,
	),
}

// full is the exit status of a submission that a limit prevents (qsub(1)).
const full = 25

// verified is the answer to "-w v" and "-w p", with which nothing is submitted.
var verified = scheduler.Pattern(`(?m)^verification: found .*$`)

// ParseSubmit implements scheduler.Scheduler.
func (SGE) ParseSubmit(r scheduler.Reply) scheduler.Submission {
	s := replies.Classify(r)
	switch {
	case r.Err == nil && r.Code == 0 && s.Verdict == scheduler.Uncertain && verified().MatchString(r.Stdout):
		s.Verdict = scheduler.Refused
	case r.Err != nil || r.Code == 0:
	case r.Code == full && s.Verdict == scheduler.Refused:
		s.Verdict = scheduler.Full
	case r.Code != full && s.Verdict == scheduler.Full:
		s.Verdict = scheduler.Refused // a verifier that says the same
	}
	return s
}
