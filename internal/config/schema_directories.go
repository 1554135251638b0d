package config

func directoryKeys() []Key {
	return []Key{
		{
			Path: "general.variable_data_dir", Default: false, Since: first,
			Meaning: "Let `data_dir` have variables of the user's login shell, such as `$SCRATCH`.",
			Example: `variable_data_dir = true`,
		},
		{
			Path: "general.custom_build_dir", Default: false, Since: first,
			Meaning: "Let users say where their builds are, by the CI variable `CUSTOM_CI_BUILDS_DIR`: a directory of their own, on the way to which others can replace nothing.",
			Example: `custom_build_dir = true`,
		},
		{
			Path: "general.group_permissions", Default: false, Since: first,
			Meaning: "Make directories with mode 0750 instead of 0700. The runner's directory of file variables and tokens, beside the project, has mode 0700 all the same.",
			Example: `group_permissions = true`,
		},
		{
			Path: "general.limit_build_dir", Default: false, Since: first,
			Meaning: "Let the runners of an account share the build directories of a project, instead of a set of directories for each runner: fewer copies of each clone.",
			Example: `limit_build_dir = true`,
		},
		{
			Path: "general.max_build_dir", Default: int64(0), Since: first,
			Meaning: "How many build directories of a project stay when their jobs are over; 0 for no limit. It needs `limit_build_dir`.",
			Example: `max_build_dir = 4`,
		},
		{
			Path: "general.uncap_build_dir_cleanup", Default: false, Since: first,
			Meaning: "Take away all build directories beyond `max_build_dir` at the end of a job, instead of one.",
			Example: `uncap_build_dir_cleanup = true`,
		},
		{
			Path: "general.file_lock_debug", Default: false, Since: first,
			Meaning: "Write down each claim of a build directory, in `.claims.log` beside them. Nothing takes these files away.",
			Example: `file_lock_debug = true`,
		},
		{
			Path: "general.static_builds_dir", Default: false, Since: first,
			Meaning: "Give each job a build directory that no other job ever has.",
			Example: `static_builds_dir = true`,
		},
		{
			Path: "general.static_builds_days", Default: int64(7), Since: first,
			Meaning: "How many days such a directory stays after its job; 0 for none.",
			Example: `static_builds_days = 3`,
		},
	}
}
