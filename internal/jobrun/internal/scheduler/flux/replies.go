package flux

import "jacamar-ci/internal/jobrun/internal/scheduler"

// replies are the answers of flux batch. It reports an error as "flux-batch: ERROR:
// X", where X is the text of strerror(3), of the library, or of a validator or a
// plugin of the job manager that refused the job; older versions put "[Errno N]"
// before it (src/bindings/python/flux/util.py of flux-core). An id is written in
// two forms: Flux marks it with a letter that is not ASCII, unless it is told not
// to.
var replies = scheduler.Replies{
	ID:    scheduler.Pattern(`^((?:ƒ|f)[1-9A-HJ-NP-Za-km-z]{1,12})$`),
	Error: scheduler.Pattern(`^flux-batch: ERROR: (?:\[Errno [0-9]+\] )?(.*)$`),
	First: true,
	Unreachable: scheduler.Sentences(
		`(?:Unable to connect to Flux: |flux_open: )?(?:broker socket \S+ was not found|Connection refused|Permission denied)`,
		`Unable to connect to Flux: .*`, `No such file or directory: '?\S*/local'?`,
	),
	// max_active_jobs of flux-accounting (src/plugins/mf_priority.cpp).
	Full: scheduler.Sentences(`user has max active jobs`),
	Uncertain: scheduler.Sentences(
		`Connection (?:timed out|reset by peer)`, `Broken pipe`, `Function not implemented`, `Protocol error`, `No route to host`,
		`Host is unreachable`, `[Ll]ost connection(?: to Flux)?`, `Operation timed out`, `[Tt]imed out`, `Timer expired`,
	),
}

// ParseSubmit implements scheduler.Scheduler.
func (Flux) ParseSubmit(r scheduler.Reply) scheduler.Submission {
	s := replies.Judge(r)
	s.ID = ascii(s.ID)
	return s
}
