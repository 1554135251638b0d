package config

import (
	"slices"

	"jacamar-ci/internal/executors"
)

func generalKeys() []Key { return slices.Concat(jobKeys(), directoryKeys()) }

func jobKeys() []Key {
	return []Key{
		{
			Path: "general.executor", Required: true, Since: first,
			Meaning: "What runs a job's script: `shell` on the runner's host; " + executors.BatchNames() + " on an allocation.",
			Example: `executor = "shell"`,
		},
		{
			Path: "general.data_dir", Required: true, Since: first,
			Meaning: "Base directory of all files of a job: an absolute path, below which each account has a directory of its name, or `$HOME` (or `~`) with or without a path behind it, " +
				"below which it is `.jacamar-ci`. With `variable_data_dir` it may have other variables. Each directory on the way must belong to root or to the job's account, and no other account may write it; " +
				"a directory of root's that others can write must be sticky.",
			Example: `data_dir = "$HOME"`,
		},
		{
			Path: "general.retain_logs", Default: false, Since: first,
			Meaning: "Keep the files that the executor or the scheduler made; otherwise they go when the job ends.",
			Example: `retain_logs = true`,
		},
		{
			Path: "general.name", Otherwise: "no name", Since: first,
			Meaning: "A label of this instance in the operator's log, for sites that run several.",
			Example: `name = "cluster-a"`,
		},
		{
			Path: "general.kill_timeout", Default: "120s", Since: first,
			Meaning: "How long a job has between the runner's SIGTERM and SIGKILL.",
			Example: `kill_timeout = "5m"`,
		},
		{
			Path: "general.shell_path", Default: "/bin/bash", Since: first,
			Meaning: "The Bash that runs job scripts.",
			Example: `shell_path = "/usr/local/bin/bash"`,
		},
		{
			Path: "general.login_shells", Default: "job", Since: first,
			Meaning: "How often a job's shells read the login profiles. With `job`, GitLab Runner's own scripts for caches, artifacts and file variables share what one login " +
				"leaves: the umask, the limits, and the exported variables and functions. The author's scripts and `get_sources` have a login of their own in any case; `prepare_script`, which prints the name of the host, has none. With `stage`, every script has one.",
			Example: `login_shells = "stage"`,
		},
		{
			Path: "general.job_message", Otherwise: "no message", Since: first,
			Meaning: "Text that users read at the start of every job's prepare stage.",
			Example: `job_message = "Maintenance on Friday from 08:00."`,
		},
		{
			Path: "general.gitlab_server", Required: true, Since: first,
			Meaning: "Address of the GitLab server whose signature is trusted. It is https, or http to a loopback address on a port under 1024, where only root can listen. No job can change it.",
			Example: `gitlab_server = "https://gitlab.example.com"`,
		},
		{
			Path: "general.tls-ca-file", Otherwise: "the system's certificate authorities", Since: first,
			Meaning: "File with the certificate authorities (PEM) for connections to the server. The spelling is the runner's.",
			Example: `tls-ca-file = "/etc/gitlab-runner/certs/ca.pem"`,
		},
		{
			Path: "general.https_proxy", Otherwise: "no proxy; none is ever taken from the environment", Since: first,
			Meaning: "Web proxy by which GitLab's keys are fetched: an http address with a port. The TLS connection through it is with GitLab, so the proxy cannot change the keys. Jobs and git do not use it.",
			Example: `https_proxy = "http://proxy.example.com:3128"`,
		},
		{
			Path: "general.run_mechanism", Otherwise: "jobs run on the host, and `image:` has no effect", Since: first,
			Meaning: "What runs the scripts of a job with `image:` in a container: `podman`, `charliecloud` or `apptainer`. Scripts of the runner itself, such as those that fetch the sources, run on the host.",
			Example: `run_mechanism = "podman"`,
		},
		{
			Path: "general.user_bash_env", Otherwise: "none", Since: first,
			Meaning: "Variables added to the clean environment of a job's login shell.",
			Example: `user_bash_env = ["LMOD_ADMIN_FILE=none"]`,
		},
		{
			Path: "general.state_dir", Otherwise: "`/var/lib/jacamar` for root and with file capabilities, else `.jacamar-state` in the home of the service account", Since: first,
			Meaning: "Directory of jacamar-auth's own state: the server's public keys, and the key that seals what a job's stages hand on. It has mode 0700 and belongs to root where jacamar-auth is root, " +
				"to `auth.helper_account` where it has file capabilities, else to the service account.",
			Example: `state_dir = "/var/lib/jacamar-b"`,
		},
	}
}

func tokenKeys() []Key {
	return []Key{
		{
			Path: "general.jwt_env_variable", Default: "SITE_ID_TOKEN", Since: first,
			Meaning: "CI variable that holds the job's id_token.",
			Example: `jwt_env_variable = "HPC_ID_TOKEN"`,
		},
		{
			Path: "general.jwt_issuer", Otherwise: "the address in `gitlab_server`, without a slash at its end", Since: first,
			Meaning: "The issuer that a token must name, byte for byte, for servers whose tokens carry another address than the server's.",
			Example: `jwt_issuer = "https://gitlab.example.com"`,
		},
		{
			Path: "general.jwt_required_aud", Otherwise: "the address in `gitlab_server`, without a slash at its end", Since: first,
			Meaning: "The audience that a token must carry; users write it as `aud` in `id_tokens`.",
			Example: `jwt_required_aud = "https://hpc.example.com"`,
		},
		{
			Path: "general.jwt_exp_delay", Default: "0s", Since: first,
			Meaning: "How long after its expiry a token is still accepted in the stages after config, for jobs that outlive their token.",
			Example: `jwt_exp_delay = "2h"`,
		},
		{
			Path: "general.jwks_url", Otherwise: "`/oauth/discovery/keys` below `gitlab_server`", Since: first,
			Meaning: "Address of the server's public keys, for a mirror of them. The rules for `gitlab_server` hold.",
			Example: `jwks_url = "https://gitlab.example.com/-/jwks"`,
		},
		{
			Path: "general.insecure_loopback_http", Default: false, Since: first,
			Meaning: "Accept keys over http from a loopback port of 1024 or higher. Any user of the machine who gets that port can act as any other: for tests on your own machine.",
			Example: `insecure_loopback_http = true`,
		},
		{
			Path: "general.jwks_max_age", Default: "24h", Since: first,
			Meaning: "How long fetched keys are used before they are fetched again.",
			Example: `jwks_max_age = "1h"`,
		},
		{
			Path: "general.jwks_stale_max", Default: "168h", Since: first,
			Meaning: "How long fetched keys are used while the server cannot be reached.",
			Example: `jwks_stale_max = "48h"`,
		},
	}
}

func directoryKeys() []Key {
	return []Key{
		{
			Path: "general.variable_data_dir", Default: false, Since: first,
			Meaning: "Let `data_dir` have variables of the user's login shell, such as `$SCRATCH`.",
			Example: `variable_data_dir = true`,
		},
		{
			Path: "general.custom_build_dir", Default: false, Since: first,
			Meaning: "Let users choose where their builds are, by the CI variable `CUSTOM_CI_BUILDS_DIR`: a directory of their own; no other account may be able to replace a part of its path.",
			Example: `custom_build_dir = true`,
		},
		{
			Path: "general.group_permissions", Default: false, Since: first,
			Meaning: "Make directories with mode 0750 instead of 0700. The runner's directory of file variables and tokens, next to the project, always has mode 0700.",
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
			Meaning: "Remove all build directories beyond `max_build_dir` at the end of a job, instead of one.",
			Example: `uncap_build_dir_cleanup = true`,
		},
		{
			Path: "general.file_lock_debug", Default: false, Since: first,
			Meaning: "Log each claim of a build directory in `.claims.log` in their parent directory. These files are never removed.",
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
		{
			Path: "general.build_days", Default: int64(0), Since: first,
			Meaning: "Remove a build directory that no job has used for so many days, at the end of a job of the account; 0 for never. touch(1) on the directory keeps it. Those below `CUSTOM_CI_BUILDS_DIR` are looked at in jobs that use that directory.",
			Example: `build_days = 7`,
		},
		{
			Path: "general.cache_days", Default: int64(0), Since: first,
			Meaning: "The same for files of the runner's local caches that were neither written nor read.",
			Example: `cache_days = 14`,
		},
		{
			Path: "general.log_days", Default: int64(0), Since: first,
			Meaning: "The same for the logs of batch jobs that `retain_logs` keeps.",
			Example: `log_days = 30`,
		},
	}
}
