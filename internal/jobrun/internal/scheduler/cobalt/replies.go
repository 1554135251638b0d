package cobalt

import "jacamar-ci/internal/jobrun/internal/scheduler"

// replies are the answers of qsub (src/clients/POSIX/qsub.py). It asks the system
// component to validate the job, and prints an error there as "component error: X"
// (src/lib/client_utils.py); then it hands the job to the queue manager, and prints
// what is raised there as it is: a fault, whose text has names of the user's and of
// the site's in it, or an exception of sockets, of TLS and of HTTP.
var replies = scheduler.SubmitPatterns{
	// The queue manager may have something to say about the job behind its number.
	ID:    scheduler.Pattern(`^([1-9][0-9]{0,9})(?: .*)?$`),
	Error: scheduler.Pattern(`^(component error: .*|<Fault .*|<ProtocolError .*|client_utils\.py:.*|\[Errno .*|\(?'?(?:The (?:read|write|handshake) operation )?timed out.*|\S+ operation timed out|BadStatusLine.*)$`),
	First: true,
	Unreachable: scheduler.Sentences(
		`component error: Failed to connect to (?:system|queue-manager): .*`,
		`component error: Following exception occurred in (?:system|queue-manager): .*`,
		`component error: Following exception occurred while trying to execute system\.\w+: .*`,
		`client_utils\.py:L#[0-9]+:cn:(?:system|queue-manager|service-location)`,
		`\[Errno [0-9]+\] (?:Connection refused|No route to host|Network is unreachable|Name or service not known)`,
	),
	// maxqueued and maxnodehours of a queue (src/lib/Components/cqm.py).
	Full: scheduler.Sentences(`<Fault 1[0-9]{3}: "The limit of \S+ (?:jobs|node hours) per user in the '\S+' queue has been reached(?:\\n)?">`),
	Uncertain: scheduler.Sentences(
		// A fault that is none of Cobalt's own, which are numbered from 1000.
		`<Fault [0-9]{1,3}: .*>`, `<ProtocolError for .*>`,
		`component error: (?:Following exception occurred while trying to execute|XMLRPC failure <Fault [0-9]{1,3}: .*> in) queue-manager\.\w+(?:: .*)?`,
		`\[Errno [0-9]+\] (?:Connection (?:reset by peer|timed out)|Broken pipe|_ssl\.c:.*)`,
		`\(?'?(?:The (?:read|write|handshake) operation )?timed out'?,?\)?`, `BadStatusLine.*`,
	),
}

// ParseSubmit implements scheduler.Scheduler.
func (Cobalt) ParseSubmit(r scheduler.Reply) scheduler.Submission { return replies.Classify(r) }
