package runas

import (
	"fmt"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// Answer is an acceptance.
type Answer struct {
	// Username is the account to run as: the one that the script named, else the
	// one that it was asked about.
	Username job.Username
	// Named reports that the script itself named the account.
	Named bool
	// DataDir replaces the site's data_dir for this job; the zero value does not.
	DataDir job.AbsPath
	// Message is for the job log, "" is none.
	Message string
	// Notes is what the script wrote to its standard error, for the operator.
	Notes string
	// SHA256 is the sum of the script that ran.
	SHA256 string
}

func (r reply) answer(asked job.Username, sum string, ran subprocess.Result) Answer {
	a := Answer{
		Username: asked, DataDir: r.dataDir, Message: r.message,
		Notes: oneLine(string(ran.Stderr), notesLimit), SHA256: sum,
	}
	if r.username != (job.Username{}) {
		a.Username, a.Named = r.username, true
	}
	return a
}

// judge accepts an exit status of 0 with an output of the agreed form, and
// nothing else.
func judge(ran subprocess.Result, err error) (reply, error) {
	switch {
	case err != nil:
		return reply{}, err
	case ran.Signal != 0:
		return reply{}, fmt.Errorf("signal %d ended it", int(ran.Signal))
	case ran.Code != 0:
		return reply{}, fmt.Errorf("it ended with exit status %d", ran.Code)
	}
	return parseReply(ran.Stdout)
}

// refusal is the failure of a call that was not accepted. A script that refuses
// by its exit status can tell the user why.
func (c call) refusal(ran subprocess.Result, why error) error {
	f := failure.Deniedf("the validation script did not accept the call %s: %w%s", c, why, notes(ran))
	if ran.Code == 0 {
		return f
	}
	// Output of another form has no message.
	if r, _ := parseReply(ran.Stdout); r.message != "" {
		f.Public, f.Hint = "you are not allowed to run CI jobs on this resource", r.message
	}
	return f
}

func notes(ran subprocess.Result) string {
	if text := oneLine(string(ran.Stderr), notesLimit); text != "" {
		return "; it says: " + text
	}
	return ""
}
