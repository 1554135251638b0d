package scheduler_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// refusals are the schedulers' messages for refused jobs, each with a placeholder for a
// text that a site, a plugin or a user chose, and whether that text can have several
// lines.
var refusals = map[string][]struct {
	form  string
	code  int
	lines bool
}{
	"slurm": {
		{"sbatch: error: %s\nsbatch: error: Batch job submission failed: Unspecified error\n", 1, false},
		{"sbatch: error: invalid partition specified: %s\nsbatch: error: Batch job submission failed: Invalid partition name specified\n", 1, false},
		{"sbatch: error: Batch job submission failed: %s\nsbatch: error: Batch job submission failed: Invalid account or account/partition combination specified\n", 1, false},
		{"sbatch: error: lua: %s\nsbatch: error: cli_filter plugin terminated with error\n", 1, false},
		{"sbatch: error: Unable to open file %s\n", 1, false},
		{"sbatch: unrecognized option '--%s'\nTry \"sbatch --help\" for more information\n", 255, false},
		{"%s\nsbatch: error: Batch job submission failed: Access/permission denied\n", 1, true},
	},
	"pbs": {
		{"qsub: %s\n", 32, true},
		{"qsub: %s\n", 65, true},
		{"qsub: Illegal attribute or resource value for %s\n", 174, false},
		{"qsub: script file:: %s\n", 1, false},
		{"qsub: submit error (Unknown queue MSG=cannot locate queue %s)\n", 172, true},
		{"%s\nqsub: Your job has been administratively rejected by the queueing system.\nqsub: There may be a more detailed explanation prior to this notice.\n", 3, false},
	},
	"lsf": {
		{"%s: No such queue. Job not submitted.\n", 255, false},
		{"%s: Bad host name, host group name or cluster name. Job not submitted.\n", 255, false},
		{"%s\nRequest aborted by esub. Job not submitted.\n", 255, true},
		{"%s: Illegal option. Job not submitted.\n", 255, false},
	},
	"sge": {
		{"Unable to run job: unknown resource \"%s\"\nExiting.\n", 1, true},
		{"Unable to run job: Job was rejected because job requests unknown queue \"%s\"\nExiting.\n", 1, true},
		{"Unable to run job: rejected by a verifier:\n%s\nExiting.\n", 1, true},
		{"qsub: invalid option argument \"-%s\"\n", 2, false},
	},
	"flux": {
		{"flux-batch: ERROR: '%s' is not a valid queue\n", 1, true},
		{"flux-batch: ERROR: [Errno 22] queue %s is closed\n", 1, true},
		{"flux batch: error: unrecognized arguments: --%s\n", 2, false},
	},
	"cobalt": {
		{"<Fault 1001: \"trying to add job to non-existent queue '%s'\">\n", 1, false},
		{"component error: XMLRPC failure <Fault 1005: \"%s\"> in system.validate_job\n\n", 1, false},
		{"qsub.py: error: no such option: --%s\n", 2, false},
		{"command %s not found, or is not a file\n", 1, false},
	},
}

// siteWords are texts of sites and users, and sentences that would decide the outcome if
// the scheduler itself printed them.
var siteWords = []string{
	"temporarily", "backup", "retry", "primary", "authentication", "connection", "disconnect", "timed out", "timeout", "Time out", "Protocol",
	"Communication", "ssl", "exception", "reset", "End of File", "not responding", "still trying", "zero bytes", "transmit", "refused", "try again later",
	"Socket timed out on send/recv operation", "Zero Bytes were transmitted or received", "Unable to contact slurm controller (connect failure)",
	"Resource temporarily unavailable", "AssocMaxSubmitJobLimit", "MaxJobCount limit reached", "Munge encode failed: x", "would exceed queue night's per-user limit",
	"cannot connect to server x (errno=15010)", "Batch protocol error", "Contacting batch daemon: Communication timeout", "LSF is down. Please wait ...",
	"Pending job threshold reached.", "commlib error: got read timeout", "job rejected: only 2 jobs are allowed per user (current job count: 2)",
	"Connection reset by peer", "user has max active jobs", "Unable to connect to Flux: x", "[Errno 104] Connection reset by peer", "<Fault 1: x>",
	"BadStatusLine ''", "Connection refused", "No free connections", "Job <12> is submitted to queue <q>.", "12", "12.pbs1", "ƒKcHzA3", "night", "maintenance",
}

// A text that a site, a plugin or a user chose never decides the outcome of a
// submission: a refusal is a refusal, whatever the text contains.
func TestSiteWordsDecideNothing(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for name, forms := range refusals {
		for _, f := range forms {
			for _, word := range siteWords {
				checkRefusal(t, name, f.form, f.code, word)
			}
			for range rounds {
				words := make([]string, 1+rand.IntN(4))
				for i := range words {
					words[i] = siteWords[rand.IntN(len(siteWords))]
				}
				sep := " "
				if f.lines {
					sep = []string{" ", "\n", "\r\n", ": ", ". "}[rand.IntN(5)]
				}
				checkRefusal(t, name, f.form, f.code, strings.Join(words, sep))
			}
		}
	}
}

func checkRefusal(t *testing.T, name, form string, code int, words string) {
	t.Helper()
	r := scheduler.Reply{Code: code, Stderr: fmt.Sprintf(form, words)}
	got := all[name].ParseSubmit(r)
	if got.Outcome != scheduler.Refused || got.Message.Lead == "" {
		t.Errorf("%s: outcome %d of %q", name, got.Outcome, r.Stderr)
	}
	// When the program reports an error, other output makes it no less certain; without
	// an error, a line that looks like an id makes the outcome uncertain.
	if r.Stdout = words + "\n"; got.Error == "" {
		return
	}
	if got = all[name].ParseSubmit(r); got.Outcome != scheduler.Refused {
		t.Errorf("%s: outcome %d of %q with output %q", name, got.Outcome, r.Stderr, r.Stdout)
	}
}

func FuzzSiteWords(f *testing.F) {
	for _, w := range siteWords {
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, words string) {
		line := strings.Map(func(r rune) rune {
			if strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r) {
				return ' '
			}
			return r
		}, words)
		for name, forms := range refusals {
			for _, form := range forms {
				text := line
				if form.lines {
					text = words
				}
				r := scheduler.Reply{Code: form.code, Stderr: fmt.Sprintf(form.form, text)}
				if got := all[name].ParseSubmit(r); got.Outcome != scheduler.Refused {
					t.Errorf("%s: outcome %d of %q", name, got.Outcome, r.Stderr)
				}
			}
		}
	})
}
