package job

import (
	"fmt"
	"strings"
)

// Stage is one of the four calls of a custom executor driver.
// Source: https://docs.gitlab.com/runner/executors/custom/
type Stage string

// The stages, in the order of a job.
const (
	Config  Stage = "config"
	Prepare Stage = "prepare"
	Run     Stage = "run"
	Cleanup Stage = "cleanup"
)

// ParseStage reads a stage's name.
func ParseStage(s string) (Stage, error) {
	switch st := Stage(s); st {
	case Config, Prepare, Run, Cleanup:
		return st, nil
	}
	return "", fmt.Errorf("%q is not a stage", Clip(s))
}

// UnmarshalText implements encoding.TextUnmarshaler with ParseStage's checks.
func (s *Stage) UnmarshalText(b []byte) (err error) {
	*s, err = ParseStage(string(b))
	return err
}

// SubStage names what one run call does: get_sources, build_script, … GitLab
// adds names over time, so only the form is checked.
type SubStage string

// BuildScript is the sub-stage with the job's before_script and script. The
// custom executor keeps this name; the rest of the runner uses step_script.
const BuildScript SubStage = "build_script"

// MaxScript is the longest script of a run stage in bytes. GitLab's limit on a
// job's configuration is far below it.
const MaxScript = 64 << 20

const subStageLength = 128

// ParseSubStage checks the form of a sub-stage's name.
func ParseSubStage(s string) (SubStage, error) {
	if !onlyAlnum(s, "_.-") || !isLetter(s[0]) || len(s) > subStageLength {
		return "", fmt.Errorf("%q is not a run stage", Clip(s))
	}
	return SubStage(s), nil
}

// UserScript reports whether the job's author wrote the script. A batch executor
// submits these; all other scripts are the runner's and run on its host.
func (s SubStage) UserScript() bool {
	return s == BuildScript || strings.HasPrefix(string(s), "step_")
}

// AfterScript is the stage of `after_script`.
const AfterScript SubStage = "after_script"

// UnmarshalText implements encoding.TextUnmarshaler; empty text, for the stages
// without sub-stage, is the zero value.
func (s *SubStage) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*s = ""
		return nil
	}
	*s, err = ParseSubStage(string(b))
	return err
}
