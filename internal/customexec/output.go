package customexec

import (
	"encoding/json"
	"io"
	"os"
	"strings"

	"jacamar-ci/internal/job"
)

// ConfigOutput is the only text that the config stage writes to standard output. Source: executors/custom/api/config.go of GitLab Runner.
type ConfigOutput struct {
	BuildsDir job.AbsPath `json:"builds_dir"`
	CacheDir  job.AbsPath `json:"cache_dir"`
	// BuildsDirIsShared stays false: every concurrent job of a runner and
	// account has a builds directory of its own.
	BuildsDirIsShared bool   `json:"builds_dir_is_shared"`
	Hostname          string `json:"hostname"`
	Driver            Driver `json:"driver"`
	// JobEnv becomes part of the environment of the later stages.
	JobEnv map[string]string `json:"job_env"`
	// Shell is the kind of shell that the runner writes its scripts for.
	Shell string `json:"shell"`
}

// Driver is the name of the driver that the runner prints in the job's log.
type Driver struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// NewConfigOutput is the output of a config stage that made the directories; state is
// for the later stages.
func NewConfigOutput(builds, cache job.AbsPath, version, state string) ConfigOutput {
	host, _ := os.Hostname()
	return ConfigOutput{
		BuildsDir: builds, CacheDir: cache, Hostname: host,
		Driver: Driver{Name: "jacamar", Version: strings.TrimPrefix(version, "v")},
		JobEnv: map[string]string{stateVariable: state},
		Shell:  "bash",
	}
}

// Write writes the output in one piece.
func (a ConfigOutput) Write(w io.Writer) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}
