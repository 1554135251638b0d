package config

import "jacamar-ci/internal/executors"

func jobKeys() []Key {
	return []Key{
		required("general.executor", `"shell"`,
			"What runs a job's script: `shell` on the runner's host; "+executors.BatchNames()+" on an allocation."),
		required("general.data_dir", `"$HOME"`,
			"Base directory of all files of a job: an absolute path, below which each account has a directory of its name, or `$HOME` (or `~`) with or without a path behind it, "+
				"below which it is `.jacamar-ci`; the first job of an account makes that path. With `variable_data_dir` it may have other variables. Each directory on the way must belong to root or to the job's account, and no other account may write it; "+
				"a directory of root's that others can write must be sticky."),
		defaults("general.retain_logs", false, `true`,
			"Keep the files that the executor or the scheduler made; otherwise they go when the job ends."),
		optional("general.name", "no name", `"cluster-a"`,
			"A label of this instance in the operator's log, for sites that run several."),
		defaults("general.kill_timeout", "120s", `"5m"`,
			"How long a job has between the runner's SIGTERM and SIGKILL."),
		defaults("general.shell_path", "/bin/bash", `"/usr/local/bin/bash"`,
			"The Bash that runs job scripts."),
		defaults("general.login_shells", "job", `"stage"`,
			"How often a job's shells read the login profiles. With `job`, GitLab Runner's own scripts for caches, artifacts and file variables share what one login "+
				"leaves: the umask, the limits, and the exported variables and functions. The author's scripts and `get_sources` have a login of their own in any case; `prepare_script`, which prints the name of the host, has none. With `stage`, every script has one."),
		optional("general.job_message", "no message", `"Maintenance on Friday from 08:00."`,
			"Text that users read at the start of every job's prepare stage."),
		required("general.gitlab_server", `"https://gitlab.example.com"`,
			"Address of the GitLab server whose signature is trusted. It is https, or http to a loopback address on a port under 1024, where only root can listen. No job can change it."),
		optional("general.tls-ca-file", "the system's certificate authorities", `"/etc/gitlab-runner/certs/ca.pem"`,
			"File with the certificate authorities (PEM) for connections to the server. The spelling is the runner's."),
		optional("general.https_proxy", "no proxy; none is ever taken from the environment", `"http://proxy.example.com:3128"`,
			"Web proxy by which GitLab's keys are fetched: an http address with a port. The TLS connection through it is with GitLab, so the proxy cannot change the keys. Jobs and git do not use it."),
		optional("general.run_mechanism", "jobs run on the host, and `image:` has no effect", `"podman"`,
			"What runs the scripts of a job with `image:` in a container: `podman`, `charliecloud` or `apptainer`. Scripts of the runner itself, such as those that fetch the sources, run on the host, or in `runner_image`."),
		optional("general.user_bash_env", "none", `["LMOD_ADMIN_FILE=none"]`,
			"Variables added to the clean environment of a job's login shell."),
		optional("general.state_dir", "`/var/lib/jacamar` for root and with file capabilities, else `.jacamar-state` in the home of the service account", `"/var/lib/jacamar-b"`,
			"Directory of jacamar-auth's own state: the server's public keys, the key that seals what a job's stages hand on, the operator's log and the journal. It has mode 0700 and belongs to root where jacamar-auth is root, "+
				"to `auth.helper_account` where it has file capabilities, else to the service account. Configurations for different GitLab servers have one each: it knows jobs by their numbers."),
	}
}

func tokenKeys() []Key {
	return []Key{
		defaults("general.jwt_env_variable", "SITE_ID_TOKEN", `"HPC_ID_TOKEN"`,
			"CI variable that holds the job's id_token."),
		optional("general.jwt_issuer", "the address in `gitlab_server`, without a slash at its end", `"https://gitlab.example.com"`,
			"The issuer that a token must name, byte for byte, for servers whose tokens carry another address than the server's."),
		optional("general.jwt_required_aud", "the address in `gitlab_server`, without a slash at its end", `"https://hpc.example.com"`,
			"The audience that a token must carry; users write it as `aud` in `id_tokens`."),
		defaults("general.jwt_exp_delay", "0s", `"2h"`,
			"How long after its expiry a token is still accepted in the stages after config, for jobs that outlive their token."),
		optional("general.jwks_url", "`/oauth/discovery/keys` below `gitlab_server`", `"https://gitlab.example.com/-/jwks"`,
			"Address of the server's public keys, for a mirror of them. The rules for `gitlab_server` hold."),
		defaults("general.insecure_loopback_http", false, `true`,
			"Accept keys over http from a loopback port of 1024 or higher. Any user of the machine who gets that port can act as any other: for tests on your own machine."),
		defaults("general.jwks_max_age", "24h", `"1h"`,
			"How long fetched keys are used before they are fetched again."),
		defaults("general.jwks_stale_max", "168h", `"48h"`,
			"How long fetched keys are used while the server cannot be reached."),
	}
}

func directoryKeys() []Key {
	return []Key{
		defaults("general.variable_data_dir", false, `true`,
			"Let `data_dir` have variables of the user's login shell, such as `$SCRATCH`."),
		defaults("general.custom_build_dir", false, `true`,
			"Let users choose where their builds are, by the CI variable `CUSTOM_CI_BUILDS_DIR`: a directory of their own; no other account may be able to replace a part of its path."),
		defaults("general.group_permissions", false, `true`,
			"Make directories with mode 0750 instead of 0700. The runner's directory of file variables and tokens, next to the project, always has mode 0700."),
		defaults("general.limit_build_dir", false, `true`,
			"Let the runners of an account share the build directories of a project, instead of a set of directories for each runner: fewer copies of each clone."),
		defaults("general.max_build_dir", int64(0), `4`,
			"How many build directories of a project stay when their jobs are over; 0 for no limit. It needs `limit_build_dir`."),
		defaults("general.uncap_build_dir_cleanup", false, `true`,
			"Remove all build directories beyond `max_build_dir` at the end of a job, instead of one."),
		defaults("general.file_lock_debug", false, `true`,
			"Log each claim of a build directory in `.claims.log` in their parent directory. These files are never removed."),
		defaults("general.static_builds_dir", false, `true`,
			"Give each job a build directory that no other job ever has."),
		defaults("general.static_builds_days", int64(7), `3`,
			"How many days such a directory stays after its job; 0 for none."),
		defaults("general.build_days", int64(0), `7`,
			"Remove a build directory that no job has used for so many days, at the end of a job of the account; 0 for never. touch(1) on the directory keeps it. Those below `CUSTOM_CI_BUILDS_DIR` are looked at in jobs that use that directory."),
		defaults("general.cache_days", int64(0), `14`,
			"The same for files of the runner's local caches that were neither written nor read."),
		defaults("general.log_days", int64(0), `30`,
			"The same for the logs of batch jobs that `retain_logs` keeps."),
	}
}
