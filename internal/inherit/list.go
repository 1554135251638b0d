package inherit

import "jacamar-ci/internal/lockdown"

// list is all there is. What is shed is shed in this order: a policy before the nice
// value that holds without it, filter and flag last.
var list = [...]Attribute{
	// Who the process is.
	{
		Name: "user ids", By: Starter,
		Job:    "the account's, all four",
		verify: verifiedFirst,
	},
	{
		Name: "group ids", By: Starter,
		Job:    "the account's, all four",
		verify: verifiedFirst,
	},
	{
		Name: "groups", By: Starter,
		Job:    "those of the account in the name service",
		verify: verifiedFirst,
	},
	{
		Name: "user namespace", By: Service,
		Job:     "the machine's, where an account is reached by setuid or sudo",
		Differs: "A runner that itself runs in a user namespace runs its own account's jobs there; jacamar-auth becomes no other account in one.",
	},
	{
		Name: "login uid", By: Starter,
		Job:     "the account's, and a session id of its own",
		Differs: "One that is set already, because an administrator started the service by hand, stays where jacamar-auth lacks CAP_AUDIT_CONTROL or the site has locked them (auditctl --loginuid-immutable).",
		shed:    setLoginUID, verify: verifyLoginUID,
	},
	{Name: "terminal audit", By: Service, Job: "that of the service; there is no terminal to audit"},

	// What it may do.
	{
		Name: "capabilities", By: Starter,
		Job:  "none: permitted, effective, inheritable and ambient sets are empty",
		shed: dropInheritable, verify: verifiedFirst,
	},
	{
		Name: "secure bits", By: Starter,
		Job:     "none",
		Differs: "Where the service has some (SecureBits=) and jacamar-auth lacks CAP_SETPCAP, no job runs.",
		shed:    clearSecureBits, verify: verifySecureBits,
	},
	{
		Name: "session keyring", By: Jacamar,
		Job:     "a new one of the account's for each stage, with the account's user keyring in it; the account's user session keyring where the account has as many keys as the kernel allows",
		Differs: "It ends with the stage: what one stage keeps for the next belongs in the user keyring.",
		shed:    leaveSessionKeyring, settle: settleKeyring, verify: verifyKeyring,
	},
	{Name: "process and thread keyrings", By: Kernel, Job: "none yet"},
	{
		Name: "security module", By: Service,
		Job:     "what the module's rules say for a program of the service",
		Differs: "No login context is set: under SELinux a job has the domain that the policy gives jacamar-auth's children, not its user's. A Landlock domain of the service holds.",
	},

	// How it is scheduled.
	{
		Name: "scheduling policy", By: Starter,
		Job:  "an ordinary one; batch and idle of the service stay",
		shed: resetPolicy, verify: verifyPolicy,
	},
	{
		Name: "nice value", By: Starter,
		Job:  "0, or what the service is nicer by",
		shed: raiseNice, verify: verifyNice,
	},
	{
		Name: "I/O priority", By: Starter,
		Job:  "by the nice value; the idle class of the service stays",
		shed: resetIOPriority, verify: verifyIOPriority,
	},
	{
		Name: "processors and memory nodes", By: Service,
		Job:     "those of the service (CPUAffinity=, NUMAPolicy=, cpusets)",
		Differs: "A job may set its own, within the cgroup of the service.",
	},
	{
		Name: "control groups", By: Service,
		Job:     "those of the service",
		Differs: "A login is in user-UID.slice: limits there do not hold for jobs. Set them on the unit of the service, or by [auth.limits].",
	},
	{
		Name: "out-of-memory score", By: Starter,
		Job:     "0, or what the service is above it",
		Differs: "Where jacamar-auth lacks CAP_SYS_RESOURCE, a job can lower its own again, to what the service has (OOMScoreAdjust=).",
		shed:    raiseOOMScore, verify: verifyOOMScore,
	},
	{
		Name: "timer slack", By: Starter,
		Job:  "the kernel's default, 50 µs",
		shed: resetTimerSlack, verify: verifyTimerSlack,
	},
	{
		Name: "execution domain", By: Starter,
		Job:  "that of Linux, without flags",
		shed: resetPersonality, verify: verifyPersonality,
	},

	// What it has.
	{
		Name: "resource limits", By: Jacamar,
		Job:     "those of [auth.limits], and else the service's",
		Differs: "No PAM session sets limits.conf(5) but with downscope sudo.",
	},
	{
		Name: "blocked signals", By: Starter,
		Job:  "none",
		shed: unblockSignals, verify: verifySignals,
	},
	{Name: "signal actions", By: Starter, Job: "the default one for each"},
	{Name: "pending signals and timers", By: Kernel, Job: "none"},
	{
		Name: "umask", By: Jacamar,
		Job:     "0022",
		Differs: "A login's may be another, by PAM or a profile; a job's profiles may change it as well.",
	},
	{Name: "working directory", By: Jacamar, Job: "the account's home"},
	{
		Name: "root directory", By: Service,
		Job:     "that of the service",
		Differs: "A service in a chroot (RootDirectory=) has its jobs there.",
	},
	{
		Name: "namespaces", By: Service,
		Job:     "those of the service",
		Differs: "PrivateTmp=, ProtectHome= and the like hide from jobs what a login sees; the shipped unit has none of them.",
	},
	{
		Name: "descriptors", By: Jacamar,
		Job:     "0, 1 and 2: the script, and pipes of jacamar's",
		Differs: "A login has a terminal.",
		settle:  lockdown.CloseOnExec,
	},
	{
		Name: "session and terminal", By: Jacamar,
		Job:     "a session of its own without a terminal",
		Differs: "A login has a terminal.",
	},
	{
		Name: "parent-death signal", By: Jacamar,
		Job:     "KILL for the shell, so that a job ends with its jacamar",
		Differs: "A login's shell has none.",
	},
	{
		Name: "reaper of orphans", By: Jacamar,
		Job:     "jacamar, which ends them",
		Differs: "A login's orphans go to init or to the user's service manager.",
	},
	{Name: "dumpable", By: Kernel, Job: "as of any program that the account can read"},
	{
		Name: "core dump filter", By: Service,
		Job:     "that of the service (CoredumpFilter=)",
		Differs: "A job may set its own.",
	},
	{
		Name: "huge pages and merging of pages", By: Jacamar,
		Job:    "not switched off, and not switched on",
		settle: resetMemoryModes,
	},
	{
		Name: "writable code", By: Service,
		Job:     "allowed, but where the service forbids it (MemoryDenyWriteExecute=)",
		Differs: "It cannot be allowed again; the shipped unit does not forbid it.",
	},
	{
		Name: "modes of the processor", By: Service,
		Job:     "those of the service: speculation, time stamp counter, faults of memory, vector lengths and such",
		Differs: "No setting of systemd changes them, but for a filter of system calls on kernels before 5.16, which restricts speculation.",
	},
	{
		Name: "writing back of memory", By: Service,
		Job:     "as the service does (PR_SET_IO_FLUSHER)",
		Differs: "No service has it but one that serves a file system.",
	},

	// What cannot be taken back, after all else.
	{
		Name: "no_new_privs", By: Jacamar,
		Job:     "set where no_new_privs is, with all of jacamar; else not set",
		Differs: "The site's choice.",
		shed:    setNoNewPrivs, verify: verifyNoNewPrivs,
	},
	{
		Name: "bounding set", By: Starter,
		Job:     "that of the service; empty where no_new_privs is set and jacamar-auth is root",
		Differs: "One that is less than whole (CapabilityBoundingSet=) makes programs with setuid bits fail to give up root: leave it whole.",
		shed:    emptyBounding, verify: verifyBounding,
	},
	{
		Name: "system-call filter", By: Starter,
		Job:     "TIOCSTI and TIOCLINUX refused, and the lists of [auth.seccomp], where that can be set",
		Differs: "A login has none. Filters of the service (SystemCallFilter=) hold as well.",
		shed:    setFilter, verify: verifyFilter,
	},

	// What begins again.
	{Name: "identity of the process", By: Kernel, Job: "its own"},
	{Name: "tracing", By: Kernel, Job: "none"},
	{Name: "addresses that the kernel was given", By: Kernel, Job: "none"},
	{Name: "memory", By: Kernel, Job: "its own"},
	{Name: "accounting", By: Kernel, Job: "from nothing"},
	{Name: "the kernel's own work with it", By: Kernel, Job: "none yet"},
}
