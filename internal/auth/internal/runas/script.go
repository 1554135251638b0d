package runas

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// Script is the site's [auth.runas].
type Script struct {
	Path job.AbsPath
	// Trust is whose script is believed.
	Trust trustedfile.Trust
	// SHA256 is the sum that the script must have, in lower-case hexadecimal; ""
	// is any.
	SHA256 string
	Env    []job.Env
	// Federated names the identity provider whose extern_uid the script gets as
	// JWT_FEDERATED_UID; "" is none.
	Federated string
	// As are the ids that the script runs with, nil for this process's own.
	As *thread.IDs

	limit time.Duration // 0 is the usual timeLimit
}

const (
	// timeLimit leaves a job's first stage time to be refused within 45 s.
	timeLimit = 30 * time.Second
	// outputLimit and notesLimit bound stdout and stderr in bytes.
	outputLimit = 64 << 10
	notesLimit  = 4 << 10
)

// ParseTarget reads the account that a job asked for through user_variable. The
// text is the job author's; "" asks for none and gives the zero value.
func ParseTarget(text string) (job.Username, error) {
	if text == "" {
		return job.Username{}, nil
	}
	name, err := job.ParseUsername(text)
	if err != nil {
		return job.Username{}, failure.Deniedf("cannot use the account that the job asks for: %w", err)
	}
	return name, nil
}

// Ask runs the script for user, and for target unless that is the zero value.
//
// An error of kind failure.Config is a fault in the site's set-up, and the script
// was not run; failure.Denied is a script that ran and did not accept in the one
// way in which it can; failure.System is an interruption through ctx.
func (s Script) Ask(ctx context.Context, id claims.Identity, user, target job.Username) (Answer, error) {
	env, err := s.environment(id)
	if err != nil {
		return Answer{}, err
	}
	program, sum, err := s.open()
	if err != nil {
		return Answer{}, failure.Configf("%w", err)
	}
	defer program.Close()
	call := newCall(s.Path, user, target)
	r, err := subprocess.Command{
		Path: programName, Args: call.args, Env: env, Files: []*os.File{program}, As: s.As,
		Limit: s.timeLimit(), MaxOutput: outputLimit, MaxErrors: notesLimit,
	}.Run(ctx)
	var start subprocess.StartError
	switch {
	case errors.As(err, &start):
		return Answer{}, failure.Configf("cannot run the validation script %s: %w", s.Path, start.Err)
	case ctx.Err() != nil:
		return Answer{}, failure.Privatef("the validation script %s was interrupted: %w", s.Path, err)
	}
	reply, err := judge(r, err)
	if err != nil {
		return Answer{}, call.refusal(r, err)
	}
	return reply.answer(call.asked, sum, r), nil
}

func (s Script) timeLimit() time.Duration {
	if s.limit != 0 {
		return s.limit
	}
	return timeLimit
}

// call is one call of the script.
type call struct {
	path  job.AbsPath
	args  []string
	asked job.Username // the account that an acceptance means
}

func newCall(path job.AbsPath, user, target job.Username) call {
	if target == (job.Username{}) {
		return call{path, []string{user.String()}, user}
	}
	return call{path, []string{target.String(), user.String()}, target}
}

// String returns the call as an administrator would repeat it.
func (c call) String() string { return c.path.String() + " " + strings.Join(c.args, " ") }
