package flux

import "jacamar-ci/internal/jobrun/internal/scheduler"

// replies are the answers of flux batch. It reports an error as "flux-batch: ERROR:
// X", where X is the text of strerror(3), of the library, or of a validator or a
// plugin of the job manager that refused the job; older versions put "[Errno N]"
// before it (src/bindings/python/flux/util.py of flux-core). An id is written in
// two forms: Flux marks it with a letter that is not ASCII, unless it is told not
// to.
var replies = scheduler.SubmitPatterns{
	ID:    scheduler.Pattern(`^((?:ƒ|f)[1-9A-HJ-NP-Za-km-z]{1,12})$`),
	Error: scheduler.Pattern(`^flux-batch: ERROR: (.*)$`),
	First: true,
	Unreachable: scheduler.Sentences(
		number+`(?:Unable to connect to Flux: |flux_open: )?broker socket \S+ was not found`, number+`Unable to connect to Flux: .*`,
		`(?:\[Errno 111\] )?Connection refused`, `(?:\[Errno 2\] )?No such file or directory: '?\S*/local'?`,
	),
	// max_active_jobs of flux-accounting (src/plugins/mf_priority.cpp).
	Full: scheduler.Sentences(number + `user has max active jobs`),
	Uncertain: scheduler.Sentences(
		`(?:\[Errno 110\] )?Connection timed out`, `(?:\[Errno 104\] )?Connection reset by peer`, `(?:\[Errno 32\] )?Broken pipe`,
		`(?:\[Errno 38\] )?Function not implemented`, `(?:\[Errno 71\] )?Protocol error`, `(?:\[Errno 113\] )?No route to host`,
		`(?:\[Errno 62\] )?Timer expired`, number+`[Ll]ost connection(?: to Flux)?`,
	),
}

const number = `(?:\[Errno [0-9]+\] )?`

// ParseSubmit implements scheduler.Scheduler.
func (Flux) ParseSubmit(r scheduler.Reply) scheduler.Submission {
	s := replies.Classify(r)
	s.ID = ascii(s.ID)
	return s
}
