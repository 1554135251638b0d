package fakerunner

import (
	"encoding/json"
	"fmt"
)

// ConfigOutput is what the config stage printed. A nil directory is one that
// was not named; an empty one counts as set.
type ConfigOutput struct {
	Driver struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"driver"`
	Hostname          string            `json:"hostname"`
	BuildsDir         *string           `json:"builds_dir"`
	CacheDir          *string           `json:"cache_dir"`
	BuildsDirIsShared bool              `json:"builds_dir_is_shared"`
	JobEnv            map[string]string `json:"job_env"`
	Shell             *string           `json:"shell"`
}

// parseConfig reads the config stage's standard output: one JSON value, or
// nothing at all.
func parseConfig(stdout []byte) (ConfigOutput, error) {
	var c ConfigOutput
	if len(stdout) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(stdout, &c); err != nil {
		return ConfigOutput{}, fmt.Errorf("error while parsing JSON output: %w", err)
	}
	return c, nil
}

// shellFor chooses the shell for which scripts are written.
func (r *Runner) shellFor(c ConfigOutput) (string, error) {
	shell := r.shell()
	if c.Shell != nil {
		shell = *c.Shell
	}
	switch shell {
	case "bash", "sh":
		return shell, nil
	case "pwsh", "powershell":
		return "", &BuildError{Text: "fakerunner writes no scripts for " + shell}
	}
	return "", fmt.Errorf("shell %s not found", shell)
}
