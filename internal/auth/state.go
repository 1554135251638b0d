package auth

import (
	"encoding/json"
	"fmt"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/handoff"
	"jacamar-ci/internal/job"
)

// state is what the config stage settled for the later stages of the same job.
// It travels in job_env, which a job's author cannot write. It saves the later
// stages their questions to the name service and to the RunAs script; token and
// rules are looked at again by each.
type state struct {
	Version       int          `json:"v"`
	Configuration job.AbsPath  `json:"config"`
	StateDir      job.AbsPath  `json:"state_dir"`
	Job           job.ID       `json:"job"`
	TokenID       string       `json:"jti"`
	Facts         policy.Facts `json:"facts"`
	RunAs         delegation   `json:"runas"`
	Dirs          handoff.Dirs `json:"dirs"`
}

const stateVersion = 2

// maxState keeps the state far from the 128 KiB that one environment string may
// have (MAX_ARG_STRLEN in execve(2)): every byte is one less for the job's own
// variables.
const maxState = 32 << 10

func (s state) encode() (string, error) {
	s.Version, s.Facts = stateVersion, withoutGroups(s.Facts)
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("cannot write the job's state: %w", err)
	}
	if len(text) > maxState {
		return "", failure.Privatef("cannot keep the job's state: %d bytes, over %d", len(text), maxState)
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
		return state{}, false, failure.Privatef("cannot read the job's state: version %d, not %d (was the package upgraded during the job?)", s.Version, stateVersion)
	}
	return s, true, nil
}
