// Package config reads the site's configuration: one TOML file, opened by trustedfile
// and decoded strictly. All faults of the file are reported together, each with its key
// and line.
//
// The struct tree below is what the rest of the program uses; schema.go has for each of
// its keys the meaning, the default and whether it is required.
package config

import (
	"net/url"
	"time"

	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// Config is a checked configuration: every value is set, by the file or by its
// default, unless its field documents the zero value.
type Config struct {
	General   General   `toml:"general"`
	Auth      Auth      `toml:"auth"`
	Batch     Batch     `toml:"batch"`
	Container Container `toml:"container"`
	// Warnings are for the administrator; the file is valid.
	Warnings []Fault `toml:"-"`
}

// General is the table [general].
type General struct {
	settings.General
	DataDir      settings.DataDir `toml:"data_dir"`
	Name         string           `toml:"name"`        // "" = no name
	JobMessage   Message          `toml:"job_message"` // "" = none
	GitLabServer *url.URL         `toml:"gitlab_server"`
	TLSCAFile    job.AbsPath      `toml:"tls-ca-file"` // zero = the system's authorities
	HTTPSProxy   Proxy            `toml:"https_proxy"` // zero = none
	StateDir     job.AbsPath      `toml:"state_dir"`   // zero = see StateDirOf
	// RunMechanism runs scripts in containers, "" for none; the tables are for each.
	RunMechanism settings.Mechanism `toml:"run_mechanism"`
	Podman       Engine             `toml:"podman"`
	Charliecloud Engine             `toml:"charliecloud"`
	Apptainer    Engine             `toml:"apptainer"`
	Token
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
	Downscope   settings.Downscope `toml:"downscope"`
	JacamarPath job.AbsPath        `toml:"jacamar_path"` // zero = next to jacamar-auth
	// HelperAccount is the account of helpers, and of the state, where jacamar-auth may
	// change to it.
	HelperAccount job.Username `toml:"helper_account"`

	RootDirCreation bool `toml:"root_dir_creation"`

	UserAllowlist           List[job.Username] `toml:"user_allowlist"`
	UserBlocklist           List[job.Username] `toml:"user_blocklist"`
	GroupsAllowlist         List[Group]        `toml:"groups_allowlist"`
	GroupsBlocklist         List[Group]        `toml:"groups_blocklist"`
	ShellAllowlist          List[job.AbsPath]  `toml:"shell_allowlist"`
	PipelineSourceAllowlist List[Source]       `toml:"pipeline_source_allowlist"`
	ProjectAllowlist        List[glob.Pattern] `toml:"project_allowlist"`
	ProjectBlocklist        List[glob.Pattern] `toml:"project_blocklist"`
	RunnerIDs               List[job.ID]       `toml:"runner_ids"` // never set and empty

	ProtectedRefsOnly  bool `toml:"protected_refs_only"`
	ListsPreValidation bool `toml:"lists_pre_validation"`
	AllowBotAccounts   bool `toml:"allow_bot_accounts"`
	AllowForkPipelines bool `toml:"allow_fork_pipelines"`
	EnforceNologin     bool `toml:"enforce_nologin"`
	RequireShadow      bool `toml:"require_shadow"`

	MinUID          job.UID                `toml:"min_uid"`
	AccountSource   settings.AccountSource `toml:"account_source"`
	AccountProvider string                 `toml:"account_provider"` // set for extern_uid only
	AccountMap      job.AbsPath            `toml:"account_map"`      // set for map only
	MaxEnvChars     int                    `toml:"max_env_chars"`    // 0 = no limit

	settings.Confinement

	RunAs   RunAs   `toml:"runas"`
	Logging Logging `toml:"logging"`
	Journal Journal `toml:"journal"`

	Concurrency Concurrency `toml:"concurrency"`
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

// Journal is the table [auth.journal].
type Journal struct {
	Enabled bool `toml:"enabled"`
}

// Concurrency is the table [auth.concurrency]: how many jobs run at once on this host;
// 0 = no limit.
type Concurrency struct {
	PerAccount int           `toml:"per_account"`
	PerProject int           `toml:"per_project"`
	Total      int           `toml:"total"`
	Wait       time.Duration `toml:"wait"` // for a place
}

// Batch is the table [batch].
type Batch struct {
	settings.Batch
	ArgumentsVariable []Variable `toml:"arguments_variable"`
	Rules             []Rule     `toml:"rule"`
}

// Rule is one [[batch.rule]]: scheduler arguments for the jobs that it matches.
type Rule struct {
	Matcher
	settings.RuleArgs
}

// Matcher are keys of [[batch.rule]] and [[container.rule]]: which jobs a rule is for. One
// that is not set matches every job.
type Matcher struct {
	Project      glob.Pattern `toml:"project"`       // "" = any; the project's full path
	Namespace    glob.Pattern `toml:"namespace"`     // "" = any; the path without the project
	User         job.Username `toml:"user"`          // zero = any; the local account
	RefProtected *bool        `toml:"ref_protected"` // nil = any
}

// Engines are the tables of container engines by the mechanism.
func (g General) Engines() map[settings.Mechanism]Engine {
	return map[settings.Mechanism]Engine{settings.Podman: g.Podman, settings.Charliecloud: g.Charliecloud, settings.Apptainer: g.Apptainer}
}

// Engine is the table of the mechanism that runs scripts.
func (g General) Engine() Engine { return g.Engines()[g.RunMechanism] }

// Engine is the table of a container engine, such as [general.podman].
type Engine struct {
	settings.Engine
	DefaultImage            image.Reference  `toml:"default_image"`     // zero = none
	RunnerImage             image.Reference  `toml:"runner_image"`      // zero = the runner's own scripts run on the host
	ImagePullPolicy         image.PullPolicy `toml:"image_pull_policy"` // "" = container.pull_policy
	DisableContainerRemoval bool             `toml:"disable_container_removal"`
}

// Container is the table [container].
type Container struct {
	settings.Container
	ImageRequired       bool               `toml:"image_required"`
	PullPolicy          []image.PullPolicy `toml:"pull_policy"`           // nil = if-not-present
	AllowedPullPolicies []image.PullPolicy `toml:"allowed_pull_policies"` // empty = pull_policy
	ServicesLimit       int                `toml:"services_limit"`        // 0 = no limit
	LocalImages         []image.Paths      `toml:"local_images"`          // empty = none
	Rules               []ContainerRule    `toml:"rule"`
	Modules             []Module           `toml:"module"`
}

// Module is one [[container.module]]: what the site offers to add to containers, by rules
// or at the job's request.
type Module struct {
	settings.Module
	// Options of the engine of that name; those of another one have no effect.
	Podman       []string `toml:"podman"`
	Charliecloud []string `toml:"charliecloud"`
	Apptainer    []string `toml:"apptainer"`
}

// Options are the options of a start by the engine.
func (m Module) Options(engine settings.Mechanism) []string {
	return map[settings.Mechanism][]string{settings.Podman: m.Podman, settings.Charliecloud: m.Charliecloud, settings.Apptainer: m.Apptainer}[engine]
}

// ContainerRule is one [[container.rule]]: what the jobs that it matches may name as their
// image and as images of services. The first one that matches a job applies.
type ContainerRule struct {
	Matcher
	Images   []glob.Pattern        `toml:"images"`   // empty = all
	Services []glob.Pattern        `toml:"services"` // empty = all
	Required bool                  `toml:"required"`
	Modules  []settings.ModuleName `toml:"modules"` // each is one of Container.Modules
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
