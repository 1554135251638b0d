package ipc

import "jacamar-ci/internal/job"

// Storage are the keys of [general] about directories, and what the job itself
// asks for.
type Storage struct {
	// VariableDataDir reports that data_dir has variables of the user's login shell.
	VariableDataDir  bool `json:"variable_data_dir,omitempty"`
	GroupPermissions bool `json:"group_permissions,omitempty"`

	LimitBuildDir bool `json:"limit_build_dir,omitempty"`
	MaxBuildDir   int  `json:"max_build_dir,omitempty"` // 0 = no limit
	UncapCleanup  bool `json:"uncap_cleanup,omitempty"`
	FileLockDebug bool `json:"file_lock_debug,omitempty"`

	StaticBuildsDir  bool `json:"static_builds_dir,omitempty"`
	StaticBuildsDays int  `json:"static_builds_days,omitempty"`

	// CustomBuildDir reports that users may say where their builds are.
	CustomBuildDir bool `json:"custom_build_dir,omitempty"`
	// CustomBuilds is the job's CUSTOM_CI_BUILDS_DIR, empty when it sets none.
	CustomBuilds []byte `json:"custom_builds,omitempty"`
}

// Dirs are the directories of one job, all below Base but for Builds, which is
// elsewhere where the job asked for that.
type Dirs struct {
	// Base is the account's directory for all jobs.
	Base    job.AbsPath `json:"base"`
	Builds  job.AbsPath `json:"builds"`
	Cache   job.AbsPath `json:"cache"`
	Scripts job.AbsPath `json:"scripts"`
}
