package noauth

import (
	"encoding/json"
	"fmt"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
)

// state is what the config stage settled for the later stages of the same job.
// It travels in job_env.
type state struct {
	Version       string      `json:"v"`
	Configuration job.AbsPath `json:"config"`
	Dirs          ipc.Dirs    `json:"dirs"`
}

// stateVersion is never one of jacamar-auth's: a runner that was changed between
// the two in the middle of a job is told so.
const stateVersion = "no-auth 1"

func (s state) encode() (string, error) {
	s.Version = stateVersion
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("cannot write the job's state: %w", err)
	}
	return string(text), nil
}

// decodeState reads the state; ok is false when there is none.
func decodeState(text string) (s state, ok bool, err error) {
	if text == "" {
		return state{}, false, nil
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return state{}, false, failure.Privatef("cannot read the job's state: %w", err)
	}
	if s.Version != stateVersion {
		return state{}, false, failure.Privatef("cannot read the job's state: version %q, not %q (was the package upgraded during the job?)", s.Version, stateVersion)
	}
	return s, true, nil
}
