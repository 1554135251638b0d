// Package runas runs the site's validation script, which decides whether a job may
// run as the account that was chosen for it, or as another one.
//
// The script is called as
//
//	script USER            or, if the job requests another account,
//	script TARGET USER
//
// with PATH, LANG, the site's validation_env and the verified claims as JWT_*
// variables, an empty standard input and a timeout of 30 seconds. Exit status 0
// accepts. The output must then be empty or one JSON object with any of
//
//	{"username": "…", "data_dir": "/…", "user_message": "…"}
//
// Everything else refuses the job. On a refusal the same object may have a
// user_message, which the job log shows.
//
// # The script's bytes
//
// The script is read once, through a checked descriptor, into a sealed memfd. The
// memfd is hashed and executed, so that a later change of the file has no effect. The
// kernel runs it as /proc/self/fd/3. An interpreter opens that name again after it was
// started, so descriptor 3 stays open in the script and its children; only the
// script's own text can be read from it. A script therefore cannot find files next to
// itself by $0: it must name other files by their full path.
//
// A kernel that forbids executing memfds (vm.memfd_noexec = 2) cannot run validation
// scripts. No other method is as safe.
package runas

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/strictjson"
	"jacamar-ci/internal/trustedfile"
)

// Script is the site's [auth.runas].
type Script struct {
	Path job.AbsPath
	// Trust defines whose script is trusted.
	Trust trustedfile.Trust
	// SHA256 is the checksum that the script must have, in lower-case hexadecimal; ""
	// accepts any.
	SHA256 string
	Env    []job.Env
	// Federated is the identity provider whose extern_uid the script gets as
	// JWT_FEDERATED_UID; "" is none.
	Federated string
	// As are the ids that the script runs with, nil for this process's own.
	As *thread.IDs

	limit time.Duration // 0 is timeLimit
}

const (
	// timeLimit lets the first stage of a refused job end within 45 s.
	timeLimit = 30 * time.Second
	// outputLimit and notesLimit bound stdout and stderr in bytes.
	outputLimit = 64 << 10
	notesLimit  = 4 << 10
)

// ParseTarget reads the account that a job requests by user_variable. The job's author
// controls the text; "" requests none and gives the zero value.
func ParseTarget(text string) (job.Username, error) {
	if text == "" {
		return job.Username{}, nil
	}
	name, err := job.ParseUsername(text)
	if err != nil {
		return job.Username{}, failure.Deniedf("cannot use the account that the job requests: %w", err)
	}
	return name, nil
}

// Run runs the script for user, and for target unless that is the zero value.
//
// An error of kind failure.Config is a fault in the site's set-up; the script was not
// run. failure.Denied means that the script ran and did not accept; failure.System
// that ctx ended it.
func (s Script) Run(ctx context.Context, id claims.Identity, user, target job.Username) (Approval, error) {
	env, err := s.environment(id)
	if err != nil {
		return Approval{}, err
	}
	program, err := s.open()
	if err != nil {
		return Approval{}, failure.Configf("%w", err)
	}
	defer program.Close()
	call := newCall(s.Path, user, target)
	r, err := subprocess.Command{
		Path: programPath, Args: call.args, Env: env, Files: []*os.File{program}, As: s.As,
		Limit: s.timeLimit(), MaxOutput: outputLimit, MaxErrors: notesLimit,
	}.Run(ctx)
	var start subprocess.StartError
	switch {
	case errors.As(err, &start):
		return Approval{}, failure.Configf("cannot run the validation script %s: %w", s.Path, start.Err)
	case ctx.Err() != nil:
		return Approval{}, failure.Privatef("the validation script %s was interrupted: %w", s.Path, err)
	}
	unanswered := err != nil
	out, err := checkResult(r, err)
	if err != nil {
		return Approval{}, call.refusal(r, err, unanswered)
	}
	return out.approval(call.account, r), nil
}

func (s Script) timeLimit() time.Duration {
	if s.limit != 0 {
		return s.limit
	}
	return timeLimit
}

// call is one call of the script.
type call struct {
	path    job.AbsPath
	args    []string
	account job.Username // the account that exit status 0 accepts
}

func newCall(path job.AbsPath, user, target job.Username) call {
	if target == (job.Username{}) {
		return call{path, []string{user.String()}, user}
	}
	return call{path, []string{target.String(), user.String()}, target}
}

// String returns the command line of the call.
func (c call) String() string { return c.path.String() + " " + strings.Join(c.args, " ") }

// Approval is the result of a script that accepted.
type Approval struct {
	// Username is the account to run as: the one that the script named, else the one
	// of the call.
	Username job.Username
	// Named reports whether the script itself named the account.
	Named bool
	// DataDir replaces the site's data_dir for this job unless it is zero.
	DataDir job.AbsPath
	// Message is for the job log, "" is none.
	Message string
	// Notes is the script's standard error, for the operator.
	Notes string
}

func (o output) approval(account job.Username, ran subprocess.Result) Approval {
	a := Approval{
		Username: account, DataDir: o.dataDir, Message: o.message,
		Notes: oneLine(string(ran.Stderr), notesLimit),
	}
	if o.username != (job.Username{}) {
		a.Username, a.Named = o.username, true
	}
	return a
}

// checkResult accepts only exit status 0 with well-formed output.
func checkResult(ran subprocess.Result, err error) (output, error) {
	switch {
	case err != nil:
		return output{}, err
	case ran.Code != 0:
		return output{}, fmt.Errorf("exit status %d", ran.Code)
	}
	return parseOutput(ran.Stdout)
}

// refusal is the failure of a call that was not accepted. A script that refuses by its
// exit status can give the user a reason. The refusal is temporary if the script has not
// answered at all: it was ended at its limits or by a signal.
func (c call) refusal(ran subprocess.Result, why error, unanswered bool) error {
	f := failure.Deniedf("the validation script did not accept the call %s: %w%s", c, why, notes(ran))
	if ran.Code == 0 {
		f.Temporary = unanswered
		return f
	}
	// Malformed output has no message.
	if r, _ := parseOutput(ran.Stdout); r.message != "" {
		f.Public, f.Hint = "you are not allowed to run CI jobs on this resource", r.message
	}
	return f
}

func notes(ran subprocess.Result) string {
	if text := oneLine(string(ran.Stderr), notesLimit); text != "" {
		return "; standard error: " + text
	}
	return ""
}

// output is the script's parsed output; absent members are zero.
type output struct {
	username job.Username
	dataDir  job.AbsPath
	message  string
}

// parseOutput reads the script's output: empty, or one JSON object of strings with
// known names, each at most once. Names are case-sensitive.
func parseOutput(b []byte) (output, error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return output{}, nil
	}
	if !utf8.Valid(b) || !json.Valid(b) {
		return output{}, errors.New("its output is not JSON")
	}
	members, err := strictjson.Members(b)
	if err != nil {
		return output{}, fmt.Errorf("its output %w", err)
	}
	var o output
	for _, name := range slices.Sorted(maps.Keys(members)) {
		var text string
		if members[name][0] != '"' || json.Unmarshal(members[name], &text) != nil {
			return output{}, fmt.Errorf("its output has %q, which is not a string", job.Clip(name))
		}
		if err := o.set(name, text); err != nil {
			return output{}, fmt.Errorf("its output has %q: %w", job.Clip(name), err)
		}
	}
	return o, nil
}

func (o *output) set(key, text string) (err error) {
	switch key {
	case "username":
		o.username, err = job.ParseUsername(text)
	case "data_dir":
		o.dataDir, err = job.ParseAbsPath(text)
	case "user_message":
		o.message = oneLine(text, messageLimit)
	default:
		err = errors.New("unknown name")
	}
	return err
}

// messageLimit bounds the message to the user in bytes.
const messageLimit = 1 << 10

// oneLine makes untrusted text safe for one line of a log.
func oneLine(text string, limit int) string {
	return job.Shorten(job.Printable(strings.Join(strings.Fields(text), " ")), limit)
}
