// Package state is what the config stage of a job settles for its later stages, and
// the seal on it. It travels in job_env: a job's author cannot write that, but the
// account of the runner's service can, and with file capabilities that account must
// not decide who a job runs as. So nothing of a state is believed before its seal
// is verified, and a state is opened for the job alone that it was made for.
//
// Where files are is never part of it, but for the path of the configuration, by
// which the key of the seal is found: that file is judged, and is under the seal.
package state

import (
	"encoding/json"
	"fmt"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
)

// State is what the config stage settled. It saves the later stages their questions
// to the name service and to the RunAs script; they look at token and rules again.
type State struct {
	Job Job `json:"job"`
	// TokenID is the id (jti) of the token that the config stage accepted.
	TokenID string       `json:"jti"`
	Facts   policy.Facts `json:"facts"`
	RunAs   Delegation   `json:"runas"`
	Dirs    ipc.Dirs     `json:"dirs"`
}

// Job is what a state belongs to.
type Job struct {
	ID      job.ID `json:"id"`
	Project job.ID `json:"project"`
	// Service is the account that runs jacamar-auth, Downscope how it reaches the
	// job's.
	Service   job.UID `json:"service"`
	Downscope string  `json:"downscope"`
}

// Delegation is what the RunAs script answered; the zero value is that none was
// asked.
type Delegation struct {
	Asked bool `json:"asked,omitempty"`
	// Target is the account that the job asked for and the script accepted.
	Target job.Username `json:"target,omitzero"`
	// Named is the account that the script itself named.
	Named   job.Username `json:"named,omitzero"`
	DataDir job.AbsPath  `json:"data_dir,omitzero"`
	Message string       `json:"message,omitempty"`
}

// maxLength keeps the state, in bytes, far from the 128 KiB that one environment
// string may have (MAX_ARG_STRLEN in execve(2)): every byte is one less for the
// job's own variables.
const maxLength = 32 << 10

// Seal writes the state for a job whose configuration is that file.
func (s State) Seal(key Key, configuration job.AbsPath) (string, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("cannot write the job's state: %w", err)
	}
	text := sealed(key, configuration, body)
	if len(text) > maxLength {
		return "", failure.Privatef("cannot keep the job's state: %d bytes, over %d (an account with very many groups?)", len(text), maxLength)
	}
	return text, nil
}

// Open returns the state if it was sealed with the key, as it is, for the job. Its
// error is a failure.Denied that the job's user may read.
func (s Sealed) Open(key Key, of Job) (State, error) {
	if !s.verify(key) {
		return State{}, refuse("the job's state was changed, belongs to another job or was sealed with another key")
	}
	var state State
	if err := json.Unmarshal(s.body, &state); err != nil {
		return State{}, failure.Privatef("cannot read the job's state: %w", err)
	}
	switch was := state.Job; {
	case was.ID != of.ID:
		return State{}, refuse("the job's state belongs to job %s, not to job %s", was.ID, of.ID)
	case was.Project != of.Project:
		return State{}, refuse("the job's state belongs to project %s, not to project %s", was.Project, of.Project)
	case was.Service != of.Service:
		return State{}, refuse("the job's state was made by uid %d, and this is uid %d", was.Service, of.Service)
	case was.Downscope != of.Downscope:
		return State{}, refuse("auth.downscope was %s when the job began, and is %s now", was.Downscope, of.Downscope)
	}
	return state, nil
}

func refuse(format string, args ...any) error {
	f := &failure.Error{Kind: failure.Denied, Public: fmt.Sprintf(format, args...)}
	return f.WithHint("retry the job; if that fails as well, ask the administrators of this CI resource")
}
