// Package settings declares the keys of the configuration that both programs use: each
// once, with its name in the file and its name in the request for jacamar. What only
// jacamar-auth uses is declared in the package config, which embeds these structs.
//
// The types check the text that they are read from. jacamar links no TOML package.
package settings

import (
	"fmt"
	"strconv"
	"time"

	"jacamar-ci/internal/job"
)

// General are keys of [general].
type General struct {
	Executor    Executor      `toml:"executor" json:"executor"`
	RetainLogs  bool          `toml:"retain_logs" json:"retain_logs,omitempty"`
	KillTimeout time.Duration `toml:"kill_timeout" json:"kill_timeout"` // from SIGTERM to SIGKILL
	ShellPath   job.AbsPath   `toml:"shell_path" json:"shell_path"`
	UserBashEnv []job.Env     `toml:"user_bash_env" json:"user_bash_env,omitempty"`
	LoginShells LoginShells   `toml:"login_shells" json:"login_shells"`
	Directories
}

// Directories are keys of [general] about where jobs live.
type Directories struct {
	VariableDataDir      bool `toml:"variable_data_dir" json:"variable_data_dir,omitempty"`
	CustomBuildDir       bool `toml:"custom_build_dir" json:"custom_build_dir,omitempty"`
	GroupPermissions     bool `toml:"group_permissions" json:"group_permissions,omitempty"`
	LimitBuildDir        bool `toml:"limit_build_dir" json:"limit_build_dir,omitempty"`
	MaxBuildDir          int  `toml:"max_build_dir" json:"max_build_dir,omitempty"` // 0 = no limit
	UncapBuildDirCleanup bool `toml:"uncap_build_dir_cleanup" json:"uncap_build_dir_cleanup,omitempty"`
	FileLockDebug        bool `toml:"file_lock_debug" json:"file_lock_debug,omitempty"`
	StaticBuildsDir      bool `toml:"static_builds_dir" json:"static_builds_dir,omitempty"`
	StaticBuildsDays     int  `toml:"static_builds_days" json:"static_builds_days,omitempty"`
	BuildDays            int  `toml:"build_days" json:"build_days,omitempty"` // 0 = no limit, as for the next ones
	CacheDays            int  `toml:"cache_days" json:"cache_days,omitempty"`
	LogDays              int  `toml:"log_days" json:"log_days,omitempty"`
}

// Batch are keys of [batch].
type Batch struct {
	AllowIllegalArgs  bool          `toml:"allow_illegal_args" json:"allow_illegal_args,omitempty"`
	SlurmSacct        bool          `toml:"slurm_sacct" json:"slurm_sacct,omitempty"`
	CommandDelay      time.Duration `toml:"command_delay" json:"command_delay"`
	NFSTimeout        time.Duration `toml:"nfs_timeout" json:"nfs_timeout"`
	SchedulerBin      job.AbsPath   `toml:"scheduler_bin" json:"scheduler_bin,omitzero"` // zero = /usr/local/bin, /usr/bin and /bin
	EnvVars           []job.Env     `toml:"env_vars" json:"env_vars,omitempty"`
	WaitForImpossible bool          `toml:"wait_for_impossible" json:"wait_for_impossible,omitempty"`
	PendingTimeout    time.Duration `toml:"pending_timeout" json:"pending_timeout,omitempty"` // 0 = no limit
	CancelGrace       time.Duration `toml:"cancel_grace" json:"cancel_grace"`
	DefaultArgs       []string      `toml:"default_args" json:"default_args,omitempty"`
}

// RuleArgs are keys of [[batch.rule]]: what applies to a job that the rule matches.
type RuleArgs struct {
	Args []string `toml:"args" json:"args"`
	// Required arguments cannot be contradicted by the job's own.
	Required bool `toml:"required" json:"required,omitempty"`
}

// Size is an amount of storage in bytes: a number with K, M, G or T behind it, powers of
// 1024.
type Size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	n, ok := job.ParseBytes(string(text))
	if !ok {
		return fmt.Errorf("%q is not a size: write a number with K, M, G or T behind it, as in \"50G\"", job.Clip(string(text)))
	}
	*s = Size(n)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) {
	n, unit := int64(s), ""
	for _, u := range "KMGT" {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, string(u)
	}
	return []byte(strconv.FormatInt(n, 10) + unit), nil
}
