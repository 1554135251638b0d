package config

import (
	"slices"
)

func authKeys() []Key {
	return slices.Concat(accountKeys(), privilegeKeys(), listKeys(), runasKeys(), loggingKeys(), journalKeys(), concurrencyKeys(), seccompKeys(), limitKeys())
}

func accountKeys() []Key {
	return []Key{
		{
			Path: "auth.downscope", Required: true, Since: first,
			Meaning: "How the job's account is reached: `setuid` by the privileges of jacamar-auth, `sudo` by a sudo rule, `none` not at all (jobs run as the service account). There is no fallback.",
			Example: `downscope = "setuid"`,
		},
		{
			Path: "auth.jacamar_path", Otherwise: "the `jacamar` in the directory of jacamar-auth", Since: first,
			Meaning: "The unprivileged program.",
			Example: `jacamar_path = "/opt/jacamar/bin/jacamar"`,
		},
		{
			Path: "auth.helper_account", Default: "jacamar", Since: first,
			Meaning: "Local system account without login that no person and no service uses. Where jacamar-auth has file capabilities, `state_dir` belongs to it, and getent and the RunAs script run as it, " +
				"out of the reach of the runner's service account. Where jacamar-auth is root, getent runs as it if it exists; `root` leaves getent to root.",
			Example: `helper_account = "jacamar-b"`,
		},
		{
			Path: "auth.root_dir_creation", Default: false, Since: first,
			Meaning: "Let jacamar-auth, as root, make each account's directory below `data_dir`, which then must be writable by root alone.",
			Example: `root_dir_creation = true`,
		},
		{
			Path: "auth.account_source", Default: "user_login", Since: first,
			Meaning: "Where the account's name comes from: `user_login` (the GitLab login), `extern_uid` (the identity of `account_provider`) or `map` (the file `account_map`). " +
				"Use `map` where users can change their GitLab login.",
			Example: `account_source = "map"`,
		},
		{
			Path: "auth.account_provider", Otherwise: "none; required for `extern_uid`", Since: first,
			Meaning: "The identity provider whose extern_uid is the account's name.",
			Example: `account_provider = "ldapmain"`,
		},
		{
			Path: "auth.account_map", Otherwise: "none; required for `map`", Since: first,
			Meaning: "File that gives a GitLab user id its account.",
			Example: `account_map = "/etc/gitlab-runner/accounts"`,
		},
		{
			Path: "auth.min_uid", Default: int64(1000), Since: first,
			Meaning: "The lowest user id that may run jobs, 100 or more: those below belong to the system. Root is always refused.",
			Example: `min_uid = 500`,
		},
		{
			Path: "auth.enforce_nologin", Default: false, Since: first,
			Meaning: "Refuse jobs while `/etc/nologin` or `/run/nologin` exists.",
			Example: `enforce_nologin = true`,
		},
		{
			Path: "auth.require_shadow", Default: false, Since: first,
			Meaning: "Refuse an account whose entry of shadow(5) cannot be read, as it may be locked or expired. Accounts of a directory mostly have none. Without this, unknown entries refuse no account.",
			Example: `require_shadow = true`,
		},
		{
			Path: "auth.max_env_chars", Default: int64(0), Since: first,
			Meaning: "The longest single CI variable that is accepted, in bytes; 0 for no limit. A longer one fails the job with its name. From about 131050 bytes on, the kernel does not let the runner hand a variable over at all.",
			Example: `max_env_chars = 65536`,
		},
	}
}

func listKeys() []Key {
	const any = "no restriction; an empty list denies all"
	return []Key{
		{
			Path: "auth.user_allowlist", Otherwise: any, Since: first,
			Meaning: "Accounts that may run jobs. The lists apply in the order user allow, user block, group allow, group block; the first match decides, and where an allowlist is set, no match denies.",
			Example: `user_allowlist = ["alice", "bob"]`,
		},
		{
			Path: "auth.user_blocklist", Otherwise: "nobody", Since: first,
			Meaning: "Accounts that may not run jobs.",
			Example: `user_blocklist = ["mallory"]`,
		},
		{
			Path: "auth.groups_allowlist", Otherwise: any, Since: first,
			Meaning: "Local groups whose members may run jobs.",
			Example: `groups_allowlist = ["ci-users"]`,
		},
		{
			Path: "auth.groups_blocklist", Otherwise: "nobody", Since: first,
			Meaning: "Local groups whose members may not run jobs.",
			Example: `groups_blocklist = ["guests"]`,
		},
		{
			Path: "auth.shell_allowlist", Otherwise: "the shells of /etc/shells; an empty list denies all", Since: first,
			Meaning: "Login shells that an account may have. `nologin` and `false` are always refused.",
			Example: `shell_allowlist = ["/bin/bash", "/bin/zsh"]`,
		},
		{
			Path: "auth.pipeline_source_allowlist", Otherwise: any, Since: first,
			Meaning: "What may have started the pipeline, as in CI_PIPELINE_SOURCE.",
			Example: `pipeline_source_allowlist = ["push", "web", "schedule"]`,
		},
		{
			Path: "auth.project_allowlist", Otherwise: any, Since: first,
			Meaning: "Projects that may run jobs, as patterns on the project's path: `*` within a part, `**` for any number of parts. Case does not matter.",
			Example: `project_allowlist = ["hpc/**"]`,
		},
		{
			Path: "auth.project_blocklist", Otherwise: "none", Since: first,
			Meaning: "Projects that may not run jobs; it wins over `project_allowlist`.",
			Example: `project_blocklist = ["hpc/sandbox/*"]`,
		},
		{
			Path: "auth.runner_ids", Otherwise: "no restriction", Since: first,
			Meaning: "The GitLab ids of this site's runners; a token made for another runner is refused.",
			Example: `runner_ids = [41, 42]`,
		},
		{
			Path: "auth.protected_refs_only", Default: false, Since: first,
			Meaning: "Accept jobs of protected branches and tags only.",
			Example: `protected_refs_only = true`,
		},
		{
			Path: "auth.lists_pre_validation", Default: false, Since: first,
			Meaning: "Apply the user and group lists before RunAs as well. They always apply to the account that RunAs returns.",
			Example: `lists_pre_validation = true`,
		},
		{
			Path: "auth.allow_bot_accounts", Default: false, Since: first,
			Meaning: "Accept jobs of project, group and service accounts, where RunAs or the account map names their account. A bot's own name is never used.",
			Example: `allow_bot_accounts = true`,
		},
		{
			Path: "auth.allow_fork_pipelines", Default: false, Since: first,
			Meaning: "Accept merge request pipelines that run code of a fork.",
			Example: `allow_fork_pipelines = true`,
		},
	}
}

func runasKeys() []Key {
	return []Key{
		{
			Path: "auth.runas.validation_script", Otherwise: "RunAs is off; required for every other key of [auth.runas]", Since: first,
			Meaning: "Program that accepts or refuses the account, and may name another.",
			Example: `validation_script = "/etc/gitlab-runner/runas"`,
		},
		{
			Path: "auth.runas.user_variable", Otherwise: "users cannot ask for another account", Since: first,
			Meaning: "CI variable by which a user asks for another account.",
			Example: `user_variable = "TARGET_SERVICE_USER"`,
		},
		{
			Path: "auth.runas.sha256", Otherwise: "not checked", Since: first,
			Meaning: "SHA-256 sum that the validation script must have.",
			Example: `sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`,
		},
		{
			Path: "auth.runas.validation_env", Otherwise: "none", Since: first,
			Meaning: "Variables added to the script's environment.",
			Example: `validation_env = ["SITE=cluster-a"]`,
		},
		{
			Path: "auth.runas.federated", Otherwise: "none", Since: first,
			Meaning: "Identity provider whose extern_uid is offered to the script.",
			Example: `federated = "saml"`,
		},
	}
}

func journalKeys() []Key {
	return []Key{{
		Path: "auth.journal.enabled", Default: true, Since: first,
		Meaning: "Keep the journal of live and ended jobs in `journal` below `state_dir`. The commands `jobs`, `show`, `status`, `drain` and `stop` of jacamar-admin need it.",
		Example: `enabled = false`,
	}}
}

func concurrencyKeys() []Key {
	return []Key{
		{
			Path: "auth.concurrency.per_account", Default: int64(0), Since: first,
			Meaning: "How many jobs of one account run at once on this host; 0 for no limit. It needs the journal. A job that waits keeps its place in the runner.",
			Example: `per_account = 4`,
		},
		{
			Path: "auth.concurrency.per_project", Default: int64(0), Since: first,
			Meaning: "The same for the jobs of one project.",
			Example: `per_project = 8`,
		},
		{
			Path: "auth.concurrency.total", Default: int64(0), Since: first,
			Meaning: "The same for all jobs.",
			Example: `total = 32`,
		},
		{
			Path: "auth.concurrency.wait", Default: "10m", Since: first,
			Meaning: "How long a job waits for a place before it is refused, counted from when GitLab issued its token; at most 55m. The runner's `config_exec_timeout` must be longer.",
			Example: `wait = "30m"`,
		},
	}
}

func loggingKeys() []Key {
	return []Key{
		{
			Path: "auth.logging.enabled", Default: true, Since: first,
			Meaning: "Write the operator's log: a record of every decision and of every stage's end.",
			Example: `enabled = false`,
		},
		{
			Path: "auth.logging.level", Default: "info", Since: first,
			Meaning: "The least important record kept: `debug`, `info`, `warning` (or `warn`) or `error`.",
			Example: `level = "debug"`,
		},
		{
			Path: "auth.logging.location", Otherwise: "`operator.log` in `state_dir`", Since: first,
			Meaning: "Where records go: `syslog`, `journald` or the absolute path of a file. A file is the one place that no job and no other user can write to or flood.",
			Example: `location = "/var/log/jacamar/operator.log"`,
		},
		{
			Path: "auth.logging.network", Otherwise: "no server", Since: first,
			Meaning: "Protocol of a remote syslog server, `udp` or `tcp`; it needs `address`.",
			Example: `network = "udp"`,
		},
		{
			Path: "auth.logging.address", Otherwise: "no server", Since: first,
			Meaning: "Numeric address and port of a remote syslog server; it needs `network`. Host names are refused: `jacamar-admin check` prints the address to write instead.",
			Example: `address = "192.0.2.7:514"`,
		},
	}
}

// privilegeKeys are about what a job's processes may become.
func privilegeKeys() []Key {
	return []Key{
		{
			Path: "auth.no_new_privs", Default: false, Since: first,
			Meaning: "Keep jobs from gaining privileges by programs that have them (setuid bits, file capabilities): sudo, newuidmap of rootless podman, pbs_iff and the like do not work in them. It holds for scripts on the runner's host and for the `jacamar` that runs them; not for commands of a batch system, and not for other processes of the account: sessions, cron, the user's service manager.",
			Example: `no_new_privs = true`,
		},
		{
			Path: "auth.set_stack_size", Default: false, Since: first,
			Meaning: "Give jobs the stack size of the runner's hard limit. The kernel cuts the soft limit to 8 MiB where jacamar-auth has file capabilities, and where sudo is used.",
			Example: `set_stack_size = true`,
		},
	}
}

func seccompKeys() []Key {
	return []Key{
		{
			Path: "auth.seccomp.disabled", Default: false, Since: first,
			Meaning: "Leave out the system-call filter, which keeps jobs from typing into terminals (ioctl TIOCSTI and TIOCLINUX). It is set where `no_new_privs` is, and by a jacamar-auth that runs as root.",
			Example: `disabled = true`,
		},
		{
			Path: "auth.seccomp.block_all", Default: false, Since: first,
			Meaning: "Refuse jobs every system call but `allow_calls`. It needs `no_new_privs`.",
			Example: `block_all = true`,
		},
		{
			Path: "auth.seccomp.block_calls", Otherwise: "none", Since: first,
			Meaning: "System calls that jobs are refused, by their names in syscalls(2): each with those that do the same (`open` with `openat`, `openat2` and `creat`, `kill` with `tgkill` and `pidfd_send_signal`, and so on), and `io_uring`, which does many of them by itself. Calls of 32-bit programs, and those that are newer than Jacamar, do not exist then. It needs `no_new_privs`.",
			Example: `block_calls = ["ptrace", "bpf"]`,
		},
		{
			Path: "auth.seccomp.allow_calls", Otherwise: "none; required for `block_all`", Since: first,
			Meaning: "System calls that jobs may make all the same, by their names in syscalls(2). Under `block_all` these are all that the shell and every program of a job need (`strace -c -f` counts them); with `block_calls`, those of the refused families that jobs may make, such as `io_uring_setup`, `io_uring_enter` and `io_uring_register`.",
			Example: `allow_calls = ["io_uring_setup", "io_uring_enter", "io_uring_register"]`,
		},
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
		keys = append(keys, Key{
			Path: "auth.limits." + l.name, Otherwise: "the runner's own limit", Since: first,
			Meaning: l.what + ": one limit, or `soft:hard`. A number may end in K, M, G or T; `unlimited` is none.",
			Example: l.name + ` = "` + l.example + `"`,
		})
	}
	return keys
}
