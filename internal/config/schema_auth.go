package config

func accountKeys() []Key {
	return []Key{
		required("auth.downscope", `"setuid"`,
			"How the job's account is reached: `setuid` by the privileges of jacamar-auth, `sudo` by a sudo rule, `none` not at all (jobs run as the service account). There is no fallback."),
		optional("auth.jacamar_path", "the `jacamar` in the directory of jacamar-auth", `"/opt/jacamar/bin/jacamar"`,
			"The unprivileged program."),
		defaults("auth.helper_account", "jacamar", `"jacamar-b"`,
			"Local system account without login that no person and no service uses. Where jacamar-auth has file capabilities, `state_dir` belongs to it, and getent and the RunAs script run as it, "+
				"out of the reach of the runner's service account. Where jacamar-auth is root, getent runs as it if it exists; `root` leaves getent to root."),
		defaults("auth.root_dir_creation", false, `true`,
			"Let jacamar-auth, as root, make each account's directory below `data_dir`, which then must be writable by root alone."),
		defaults("auth.account_source", "user_login", `"map"`,
			"Where the account's name comes from: `user_login` (the GitLab login), `extern_uid` (the identity of `account_provider`) or `map` (the file `account_map`). "+
				"Use `map` where users can change their GitLab login."),
		optional("auth.account_provider", "none; required for `extern_uid`", `"ldapmain"`,
			"The identity provider whose extern_uid is the account's name."),
		optional("auth.account_map", "none; required for `map`", `"/etc/gitlab-runner/accounts"`,
			"File that gives a GitLab user id its account."),
		defaults("auth.min_uid", int64(1000), `500`,
			"The lowest user id that may run jobs, 100 or more: those below belong to the system. Root is always refused."),
		defaults("auth.enforce_nologin", false, `true`,
			"Refuse jobs while `/etc/nologin` or `/run/nologin` exists."),
		defaults("auth.require_shadow", false, `true`,
			"Refuse an account whose entry of shadow(5) cannot be read, as it may be locked or expired. Accounts of a directory mostly have none. Without this, unknown entries refuse no account."),
		defaults("auth.max_env_chars", int64(0), `65536`,
			"The longest single CI variable that is accepted, in bytes; 0 for no limit. A longer one fails the job with its name. From about 131050 bytes on, the kernel does not let the runner hand a variable over at all."),
	}
}

func listKeys() []Key {
	const any = "no restriction; an empty list denies all"
	return []Key{
		optional("auth.user_allowlist", any, `["alice", "bob"]`,
			"Accounts that may run jobs. The lists apply in the order user allow, user block, group allow, group block; the first match decides, and where an allowlist is set, no match denies."),
		optional("auth.user_blocklist", "nobody", `["mallory"]`,
			"Accounts that may not run jobs."),
		optional("auth.groups_allowlist", any, `["ci-users"]`,
			"Local groups whose members may run jobs."),
		optional("auth.groups_blocklist", "nobody", `["guests"]`,
			"Local groups whose members may not run jobs."),
		optional("auth.shell_allowlist", "the shells of /etc/shells; an empty list denies all", `["/bin/bash", "/bin/zsh"]`,
			"Login shells that an account may have. `nologin` and `false` are always refused."),
		optional("auth.pipeline_source_allowlist", any, `["push", "web", "schedule"]`,
			"What may have started the pipeline, as in CI_PIPELINE_SOURCE."),
		optional("auth.project_allowlist", any, `["hpc/**"]`,
			"Projects that may run jobs, as patterns on the project's path: `*` within a part, `**` for any number of parts. Case does not matter."),
		optional("auth.project_blocklist", "none", `["hpc/sandbox/*"]`,
			"Projects that may not run jobs; it wins over `project_allowlist`."),
		optional("auth.runner_ids", "no restriction", `[41, 42]`,
			"The GitLab ids of this site's runners; a token made for another runner is refused."),
		defaults("auth.protected_refs_only", false, `true`,
			"Accept jobs of protected branches and tags only."),
		defaults("auth.lists_pre_validation", false, `true`,
			"Apply the user and group lists before RunAs as well. They always apply to the account that RunAs returns."),
		defaults("auth.allow_bot_accounts", false, `true`,
			"Accept jobs of project, group and service accounts, where RunAs or the account map names their account. A bot's own name is never used."),
		defaults("auth.allow_fork_pipelines", false, `true`,
			"Accept merge request pipelines that run code of a fork."),
	}
}

func runasKeys() []Key {
	return []Key{
		optional("auth.runas.validation_script", "RunAs is off; required for every other key of [auth.runas]", `"/etc/gitlab-runner/runas"`,
			"Program that accepts or refuses the account, and may name another."),
		optional("auth.runas.user_variable", "users cannot ask for another account", `"TARGET_SERVICE_USER"`,
			"CI variable by which a user asks for another account."),
		optional("auth.runas.sha256", "not checked", `"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`,
			"SHA-256 sum that the validation script must have."),
		optional("auth.runas.validation_env", "none", `["SITE=cluster-a"]`,
			"Variables added to the script's environment."),
		optional("auth.runas.federated", "none", `"saml"`,
			"Identity provider whose extern_uid is offered to the script."),
	}
}

func journalKeys() []Key {
	return []Key{
		defaults("auth.journal.enabled", true, `false`,
			"Keep the journal of live and ended jobs in `journal` below `state_dir`. The commands of jacamar-admin about jobs need it."),
		defaults("auth.concurrency.per_account", int64(0), `4`,
			"How many jobs of one account run at once on this host; 0 for no limit. It needs the journal. A job that waits keeps its place in the runner."),
		defaults("auth.concurrency.per_project", int64(0), `8`,
			"The same for the jobs of one project."),
		defaults("auth.concurrency.total", int64(0), `32`,
			"The same for all jobs."),
		defaults("auth.concurrency.wait", "10m", `"30m"`,
			"How long a job waits for a place before it is refused, counted from when GitLab issued its token; at most 55m. The runner's `config_exec_timeout` must be longer."),
	}
}

func loggingKeys() []Key {
	return []Key{
		defaults("auth.logging.enabled", true, `false`,
			"Write the operator's log: a record of every decision and of every stage's end."),
		defaults("auth.logging.level", "info", `"debug"`,
			"The least important record kept: `debug`, `info`, `warning` (or `warn`) or `error`."),
		optional("auth.logging.location", "`operator.log` in `state_dir`", `"/var/log/jacamar/operator.log"`,
			"Where records go: `syslog`, `journald` or the absolute path of a file. A file is the one place that no job and no other user can write to or flood."),
		optional("auth.logging.network", "no server", `"udp"`,
			"Protocol of a remote syslog server, `udp` or `tcp`; it needs `address`."),
		optional("auth.logging.address", "no server", `"192.0.2.7:514"`,
			"Numeric address and port of a remote syslog server; it needs `network`. Host names are refused: `jacamar-admin check` prints the address to write instead."),
	}
}

// privilegeKeys are about what a job's processes may become.
func privilegeKeys() []Key {
	return []Key{
		defaults("auth.no_new_privs", false, `true`,
			"Keep jobs from gaining privileges by programs that have them (setuid bits, file capabilities): sudo, newuidmap of rootless podman, pbs_iff and the like do not work in them. It holds for scripts on the runner's host and for the `jacamar` that runs them; not for commands of a batch system, and not for other processes of the account: sessions, cron, the user's service manager."),
		defaults("auth.set_stack_size", false, `true`,
			"Give jobs the stack size of the runner's hard limit. The kernel cuts the soft limit to 8 MiB where jacamar-auth has file capabilities, and where sudo is used."),
	}
}

func seccompKeys() []Key {
	return []Key{
		defaults("auth.seccomp.disabled", false, `true`,
			"Leave out the system-call filter, which keeps jobs from typing into terminals (ioctl TIOCSTI and TIOCLINUX). It is set where `no_new_privs` is, and by a jacamar-auth that runs as root."),
		defaults("auth.seccomp.block_all", false, `true`,
			"Refuse jobs every system call but `allow_calls`. It needs `no_new_privs`."),
		optional("auth.seccomp.block_calls", "none", `["ptrace", "bpf"]`,
			"System calls that jobs are refused, by their names in syscalls(2): each with those that do the same (`open` with `openat`, `openat2` and `creat`, `kill` with `tgkill` and `pidfd_send_signal`, and so on), and `io_uring`, which does many of them by itself. Calls of 32-bit programs, and those that are newer than Jacamar, do not exist then. It needs `no_new_privs`."),
		optional("auth.seccomp.allow_calls", "none; required for `block_all`", `["io_uring_setup", "io_uring_enter", "io_uring_register"]`,
			"System calls that jobs may make all the same, by their names in syscalls(2). Under `block_all` these are all that the shell and every program of a job need (`strace -c -f` counts them); with `block_calls`, those of the refused families that jobs may make, such as `io_uring_setup`, `io_uring_enter` and `io_uring_register`."),
	}
}

func limitKeys() (keys []Key) {
	for _, l := range []struct{ name, what, example string }{
		{"as", "Address space in bytes", "unlimited"},
		{"core", "Size of a core file in bytes", "0:unlimited"},
		{"cpu", "CPU time of one process in seconds", "7200"},
		{"data", "Data of a process in bytes", "16G"},
		{"fsize", "Size of a file in bytes", "1T"},
		{"locks", "File locks", "unlimited"},
		{"memlock", "Locked memory in bytes", "unlimited"},
		{"msgqueue", "POSIX message queues in bytes", "819200"},
		{"nice", "Nice value as 20 minus the lowest one", "20"},
		{"nofile", "Open files of one process", "1024:65536"},
		{"nproc", "Processes and threads of the account", "4096"},
		{"rss", "Resident memory in bytes, which the kernel ignores", "unlimited"},
		{"rtprio", "Real-time priority", "0"},
		{"rttime", "Real-time CPU time without a blocking call in microseconds", "unlimited"},
		{"sigpending", "Queued signals of the account", "4096"},
		{"stack", "Stack in bytes", "8M:unlimited"},
	} {
		keys = append(keys, optional("auth.limits."+l.name, "the runner's own limit", `"`+l.example+`"`,
			l.what+": one limit, or `soft:hard`. A number may end in K, M, G or T; `unlimited` is none."))
	}
	return keys
}
