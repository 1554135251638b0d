// Package config reads the site's configuration: one TOML file, opened by
// trustedfile and taken strictly. Every fault of the file is told at once, each
// with its key and line.
//
// The struct tree below is what the rest of the program sees; schema.go says of
// each of its keys what it means, its default and whether it must be given.
package config

import (
	"net/url"
	"time"

	"jacamar-ci/internal/job"
)

// Config is a checked configuration: every value is set, by the file or by its
// default, unless its field says what the zero value means.
type Config struct {
	General General `toml:"general"`
	Auth    Auth    `toml:"auth"`
	Batch   Batch   `toml:"batch"`
	// Warnings are what an administrator should look at; the file is valid.
	Warnings []Fault `toml:"-"`
}

// General is the table [general].
type General struct {
	Executor   Executor `toml:"executor"`
	DataDir    DataDir  `toml:"data_dir"`
	RetainLogs bool     `toml:"retain_logs"`
	Directories
	Name         string        `toml:"name"` // "" = no name
	KillTimeout  time.Duration `toml:"kill_timeout"`
	ShellPath    job.AbsPath   `toml:"shell_path"`
	JobMessage   Message       `toml:"job_message"` // "" = none
	GitLabServer *url.URL      `toml:"gitlab_server"`
	TLSCAFile    job.AbsPath   `toml:"tls-ca-file"` // zero = the system's authorities
	HTTPSProxy   Proxy         `toml:"https_proxy"` // zero = none
	UserBashEnv  []job.Env     `toml:"user_bash_env"`
	StateDir     job.AbsPath   `toml:"state_dir"` // zero = see StateDirOf
	Token
}

// Directories are the keys of [general] about where jobs live.
type Directories struct {
	VariableDataDir      bool `toml:"variable_data_dir"`
	CustomBuildDir       bool `toml:"custom_build_dir"`
	GroupPermissions     bool `toml:"group_permissions"`
	LimitBuildDir        bool `toml:"limit_build_dir"`
	MaxBuildDir          int  `toml:"max_build_dir"` // 0 = no limit
	UncapBuildDirCleanup bool `toml:"uncap_build_dir_cleanup"`
	FileLockDebug        bool `toml:"file_lock_debug"`
	StaticBuildsDir      bool `toml:"static_builds_dir"`
	StaticBuildsDays     int  `toml:"static_builds_days"`
}

// Token is how a job's id_token is found and verified. Its keys belong to
// [general]; those named jwt_* may stand in [auth] as well.
type Token struct {
	JWTEnvVariable Variable      `toml:"jwt_env_variable"`
	JWTIssuer      string        `toml:"jwt_issuer"`
	JWTRequiredAud string        `toml:"jwt_required_aud"`
	JWTExpDelay    time.Duration `toml:"jwt_exp_delay"`
	JWKSURL        *url.URL      `toml:"jwks_url"` // nil = below gitlab_server
	// InsecureLoopbackHTTP accepts keys from a port that any local user can take.
	InsecureLoopbackHTTP bool          `toml:"insecure_loopback_http"`
	JWKSMaxAge           time.Duration `toml:"jwks_max_age"`
	JWKSStaleMax         time.Duration `toml:"jwks_stale_max"`
}

// Auth is the table [auth].
type Auth struct {
	Downscope   Downscope   `toml:"downscope"`
	JacamarPath job.AbsPath `toml:"jacamar_path"` // zero = beside jacamar-auth
	// HelperAccount is what helpers run as, and owns the state, as far as
	// jacamar-auth may change to it.
	HelperAccount job.Username `toml:"helper_account"`

	RootDirCreation bool `toml:"root_dir_creation"`

	UserAllowlist           List[job.Username] `toml:"user_allowlist"`
	UserBlocklist           List[job.Username] `toml:"user_blocklist"`
	GroupsAllowlist         List[Group]        `toml:"groups_allowlist"`
	GroupsBlocklist         List[Group]        `toml:"groups_blocklist"`
	ShellAllowlist          List[job.AbsPath]  `toml:"shell_allowlist"`
	PipelineSourceAllowlist List[Source]       `toml:"pipeline_source_allowlist"`
	ProjectAllowlist        List[Glob]         `toml:"project_allowlist"`
	ProjectBlocklist        List[Glob]         `toml:"project_blocklist"`
	RunnerIDs               List[job.ID]       `toml:"runner_ids"` // never set and empty

	ProtectedRefsOnly  bool `toml:"protected_refs_only"`
	ListsPreValidation bool `toml:"lists_pre_validation"`
	AllowBotAccounts   bool `toml:"allow_bot_accounts"`
	AllowForkPipelines bool `toml:"allow_fork_pipelines"`
	EnforceNologin     bool `toml:"enforce_nologin"`
	RequireShadow      bool `toml:"require_shadow"`

	MinUID          job.UID       `toml:"min_uid"`
	AccountSource   AccountSource `toml:"account_source"`
	AccountProvider string        `toml:"account_provider"` // set for extern_uid only
	AccountMap      job.AbsPath   `toml:"account_map"`      // set for map only
	MaxEnvChars     int           `toml:"max_env_chars"`    // 0 = no limit

	NoNewPrivs   bool `toml:"no_new_privs"`
	SetStackSize bool `toml:"set_stack_size"`

	RunAs   RunAs   `toml:"runas"`
	Logging Logging `toml:"logging"`
	Seccomp Seccomp `toml:"seccomp"`
	Limits  Limits  `toml:"limits"`
}

// RunAs is the table [auth.runas]. Without a validation script nothing of it is
// set and RunAs is off.
type RunAs struct {
	ValidationScript job.AbsPath `toml:"validation_script"`
	UserVariable     Variable    `toml:"user_variable"` // "" = users cannot ask for an account
	SHA256           Digest      `toml:"sha256"`        // "" = not checked
	ValidationEnv    []job.Env   `toml:"validation_env"`
	Federated        string      `toml:"federated"` // "" = no provider
}

// Logging is the table [auth.logging].
type Logging struct {
	Enabled  bool     `toml:"enabled"`
	Level    LogLevel `toml:"level"`
	Location Location `toml:"location"`
	// Network and Address are a remote syslog server's; both "" = the local one.
	Network string `toml:"network"`
	Address string `toml:"address"`
}

// Batch is the table [batch].
type Batch struct {
	ArgumentsVariable []Variable    `toml:"arguments_variable"`
	AllowIllegalArgs  bool          `toml:"allow_illegal_args"`
	SlurmSacct        bool          `toml:"slurm_sacct"`
	CommandDelay      time.Duration `toml:"command_delay"`
	NFSTimeout        time.Duration `toml:"nfs_timeout"`
	SchedulerBin      job.AbsPath   `toml:"scheduler_bin"` // zero = /usr/bin and /bin
	EnvVars           []job.Env     `toml:"env_vars"`
	WaitForImpossible bool          `toml:"wait_for_impossible"`
	PendingTimeout    time.Duration `toml:"pending_timeout"` // 0 = no limit
	CancelGrace       time.Duration `toml:"cancel_grace"`
	DefaultArgs       []string      `toml:"default_args"`
	Rules             []Rule        `toml:"rule"`
}

// Rule is one [[batch.rule]]: scheduler arguments for the jobs that it matches.
// A matcher that is not set matches every job.
type Rule struct {
	Project      Glob         `toml:"project"`       // "" = any; the project's full path
	Namespace    Glob         `toml:"namespace"`     // "" = any; the path without the project
	User         job.Username `toml:"user"`          // zero = any; the local account
	RefProtected *bool        `toml:"ref_protected"` // nil = any
	Args         []string     `toml:"args"`
	// Required arguments cannot be contradicted by the job's own.
	Required bool `toml:"required"`
}

// packagedState is where packages keep the state.
const packagedState = "/var/lib/jacamar"

// StateDirOf returns the directory of jacamar-auth's own state: the one that the
// file names, else the packages' for a process that is privileged, else one in the
// home of the service account.
func (g *General) StateDirOf(privileged bool, home func() (job.AbsPath, error)) (job.AbsPath, error) {
	switch {
	case !g.StateDir.IsZero():
		return g.StateDir, nil
	case privileged:
		return job.ParseAbsPath(packagedState)
	}
	dir, err := home()
	if err != nil {
		return dir, err
	}
	return dir.Join(".jacamar-state")
}
