package config

// privilegeKeys are about what a job's processes may become.
func privilegeKeys() []Key {
	return []Key{
		{
			Path: "auth.no_new_privs", Default: false, Since: first,
			Meaning: "Keep jobs from gaining privileges by programs that have them (setuid bits, file capabilities): sudo, newuidmap of rootless podman, pbs_iff and the like do not work in them. It holds for scripts on the runner's host and for the `jacamar` that runs them; not for commands of a batch system, and not for what the account runs there beside jobs: sessions, cron, a service manager of the user's.",
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
			Meaning: "System calls that jobs may make all the same, by their names in syscalls(2). Under `block_all` these are all that the shell and every program of a job need (`strace -c -f` counts them); beside `block_calls` those that it would refuse beyond what it names, such as `io_uring_setup`, `io_uring_enter` and `io_uring_register`.",
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
