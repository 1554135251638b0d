package layering

// module is the prefix of every import path of this module.
const module = "jacamar-ci/"

// pkg is a package and what it may import in addition to the standard library.
type pkg struct {
	path   string
	may    []string // packages
	beyond []string // packages of other modules
	// never are packages of the standard library, each with those below it.
	never []string
}

const (
	cli        = "github.com/urfave/cli/v2"
	logrus     = "github.com/sirupsen/logrus"
	multierror = "github.com/hashicorp/go-multierror"
	toml       = "github.com/BurntSushi/toml"
	unix       = "golang.org/x/sys/unix"
)

// effects are packages that a pure package does not import: it maps values to values.
var effects = []string{"os", "net", "syscall", "runtime", "context", "io/fs", "path/filepath"}

// auth and jobrun have nested internal directories, which the compiler enforces:
// neither program can import packages of the other.
const (
	auth   = "internal/auth/internal/"
	jobrun = "internal/jobrun/internal/"
)

// packages lists all packages. A package without a row fails the test. A path may
// end in *, for each of several packages of one kind; the first matching row applies.
var packages = []pkg{
	{path: "cmd/jacamar-auth", may: []string{"internal/auth", "internal/driver", "internal/failure", "internal/job", "internal/journal", "internal/version"}, never: []string{"flag"}},
	{path: "cmd/jacamar-admin", may: []string{"internal/admin", "internal/auth/admin", "internal/executors", "internal/failure", "internal/job", "internal/journal", "internal/version"}, beyond: []string{cli, unix}},
	{path: "cmd/jacamar-keys", may: []string{"internal/capability", "internal/failure", "internal/job", "internal/jwks/fetch", "internal/lockdown", "internal/version"}, beyond: []string{unix}, never: []string{"os/exec", "os/user"}},
	{path: "cmd/jacamar-noauth", may: []string{"internal/driver", "internal/job", "internal/noauth"}},
	{path: "cmd/jacamar", may: []string{"internal/failure", "internal/job", "internal/jobrun", "internal/jobrun/own", "internal/programs", "internal/version"}, beyond: []string{unix}},

	{path: "internal/job", never: effects},
	{path: "internal/failure", never: effects},
	{path: "internal/crash", may: []string{"internal/failure"}, never: []string{"os", "net", "syscall"}},
	{path: "internal/version", never: []string{"os", "net", "syscall"}},
	{path: "internal/capability", may: []string{"internal/procfs"}, beyond: []string{unix}, never: []string{"net", "os/exec", "os/user", "syscall"}},
	{path: "internal/pump", may: []string{"internal/eintr"}, beyond: []string{unix}, never: []string{"net", "os/exec"}},
	{path: "internal/eintr", beyond: []string{unix}, never: []string{"net", "os", "syscall"}},
	{path: "internal/lockwait", may: []string{"internal/eintr"}, beyond: []string{unix}, never: []string{"net", "os", "syscall"}},
	{path: "internal/linefile", beyond: []string{unix}, never: []string{"net", "os/exec", "os/user", "syscall"}},
	{path: "internal/procfs", beyond: []string{unix}, never: []string{"net", "os", "syscall"}},
	{path: "internal/proctree", may: []string{"internal/procfs"}, beyond: []string{unix}, never: []string{"net"}},
	{path: "internal/rlimit", may: []string{"internal/job"}, beyond: []string{unix}, never: []string{"os", "net"}},
	{path: "internal/seccomp", may: []string{"internal/job"}, beyond: []string{unix}, never: []string{"os", "net", "syscall"}},
	{path: "internal/executors", may: []string{"internal/job"}, never: effects},
	{path: "internal/glob", may: []string{"internal/job"}, never: effects},
	{path: "internal/settings", may: []string{"internal/executors", "internal/job", "internal/rlimit", "internal/seccomp"}, never: effects},
	{path: "internal/mounts", may: []string{"internal/procfs"}, beyond: []string{unix}, never: []string{"net", "os/exec", "os/user"}},
	{path: "internal/noreplace", may: []string{"internal/eintr"}, beyond: []string{unix}, never: []string{"os", "net", "syscall"}},
	{path: "internal/trustedfile", may: []string{"internal/eintr", "internal/job", "internal/mounts"}, beyond: []string{unix}, never: []string{"net"}},
	{
		path: "internal/config", may: []string{"internal/executors", "internal/failure", "internal/glob", "internal/image", "internal/job", "internal/jwks", "internal/rlimit", "internal/seccomp", "internal/settings", "internal/trustedfile"},
		beyond: []string{multierror, toml}, never: []string{"os", "net/http", "syscall"},
	},
	{path: "internal/strictjson", may: []string{"internal/job"}, never: effects},
	{path: "internal/customexec", may: []string{"internal/failure", "internal/image", "internal/job", "internal/strictjson"}, beyond: []string{unix}, never: []string{"net", "os/exec"}},
	{
		path: "internal/ipc", may: []string{"internal/failure", "internal/image", "internal/inherit", "internal/job", "internal/proctree", "internal/settings"},
		never: []string{"os", "net", "syscall"},
	},
	{path: "internal/joblog", may: []string{"internal/job"}, never: []string{"os", "net", "syscall"}},
	{path: "internal/auditlog", may: []string{"internal/job", "internal/linefile", "internal/lockwait"}, beyond: []string{logrus, unix}, never: []string{"net", "os/exec"}},

	{path: "internal/driver", may: []string{
		"internal/config", "internal/crash", "internal/customexec", "internal/failure", "internal/image", "internal/inherit", "internal/ipc", "internal/job", "internal/joblog", "internal/lockdown",
		"internal/monitor", "internal/procfs", "internal/proctree", "internal/programs", "internal/rlimit", "internal/settings", "internal/trustedfile", "internal/version",
	}, beyond: []string{unix}, never: []string{"net", "os/exec", "os/user", "syscall"}},
	{path: "internal/passwd", may: []string{"internal/job"}, never: effects},
	{path: "internal/programs", may: []string{"internal/failure", "internal/job", "internal/trustedfile"}, beyond: []string{unix}, never: []string{"net", "os/exec", "os/user", "syscall"}},
	{
		path: "internal/inherit", may: []string{"internal/capability", "internal/job", "internal/lockdown", "internal/procfs", "internal/seccomp"},
		beyond: []string{unix}, never: []string{"net", "os/exec", "os/user", "syscall"},
	},
	{path: "internal/jwks", may: []string{"internal/job"}, never: effects},
	{path: "internal/image", may: []string{"internal/glob", "internal/job"}, never: effects},
	{path: "internal/journal", may: []string{"internal/eintr", "internal/job", "internal/linefile", "internal/lockwait", "internal/proctree"}, beyond: []string{unix}, never: []string{"net", "os/exec", "os/user"}},
	{path: "internal/admin", may: []string{"internal/admin/status", "internal/job", "internal/journal", "internal/proctree"}, beyond: []string{unix}, never: []string{"net", "os/exec", "os/user"}},
	{path: "internal/admin/status", may: []string{"internal/job", "internal/journal", "internal/proctree"}, never: []string{"net", "os/exec", "os/user"}},
	{path: "internal/jwks/fetch", may: []string{"internal/job", "internal/jwks"}, never: []string{"os", "os/exec", "os/user"}},
	{path: "internal/lockdown", beyond: []string{unix}, never: []string{"net", "os/exec", "os/user"}},
	{
		path: "internal/monitor", may: []string{"internal/crash", "internal/failure", "internal/ipc", "internal/proctree", "internal/pump"},
		beyond: []string{unix}, never: []string{"net", "os/exec", "os/user"},
	},

	{path: "internal/noauth", may: []string{
		"internal/config", "internal/crash", "internal/driver", "internal/failure", "internal/inherit", "internal/ipc", "internal/job", "internal/monitor",
		"internal/passwd", "internal/settings", "internal/trustedfile",
	}, beyond: []string{unix}, never: []string{"net", "os/user"}},

	{path: "internal/auth", may: []string{
		auth + "account", auth + "accountmap", auth + "claims", auth + "idtoken",
		auth + "policy", auth + "privdrop", auth + "basedir", auth + "runas", auth + "state", auth + "statedir", auth + "thread",
		"internal/capability", "internal/config", "internal/crash", "internal/customexec", "internal/driver", "internal/failure", "internal/image", "internal/ipc", "internal/inherit", "internal/job", "internal/lockdown",
		"internal/joblog", "internal/journal", "internal/auditlog", "internal/monitor", "internal/proctree", "internal/programs", "internal/settings", "internal/trustedfile",
	}, beyond: []string{unix}, never: []string{"net", "os/exec", "os/user"}},
	{path: auth + "account", may: []string{auth + "subprocess", auth + "thread", "internal/crash", "internal/failure", "internal/job", "internal/passwd"}, never: []string{"net", "os/exec", "os/user"}},
	{path: auth + "accountmap", may: []string{"internal/job"}, beyond: []string{multierror}, never: effects},
	{path: "internal/auth/admin", may: []string{
		"internal/auth", "internal/auth/admin/bugreport", "internal/auth/admin/check", "internal/auth/admin/explain", "internal/auth/admin/setup", "internal/auth/admin/trial",
		auth + "account", auth + "thread", auth + "claims", auth + "idtoken", auth + "policy", auth + "runas", auth + "subprocess",
		"internal/capability", "internal/config", "internal/customexec", "internal/driver", "internal/failure", "internal/image", "internal/job", "internal/journal", "internal/programs", "internal/settings", "internal/version",
	}, beyond: []string{unix}, never: []string{"net", "os/exec", "os/user"}},
	{path: "internal/auth/admin/check", may: []string{
		"internal/auth/admin/setup", "internal/auth/admin/trial", "internal/jobrun/engines", auth + "account", auth + "accountmap", auth + "subprocess", auth + "thread", "internal/cell", auth + "idtoken", auth + "policy", auth + "privdrop", auth + "basedir", auth + "runas", auth + "statedir",
		"internal/capability", "internal/config", "internal/eintr", "internal/executors", "internal/failure", "internal/job", "internal/mounts", "internal/auditlog", "internal/procfs", "internal/programs", "internal/rlimit", "internal/settings", "internal/trustedfile", "internal/version",
	}, beyond: []string{multierror, toml, unix}, never: []string{"net", "os/exec", "os/user"}},
	{path: "internal/auth/admin/bugreport", may: []string{"internal/config"}, beyond: []string{toml}, never: effects},
	{
		path: "internal/auth/admin/trial", may: []string{auth + "subprocess", auth + "thread", "internal/customexec", "internal/job"}, beyond: []string{toml},
		never: []string{"net", "os/exec", "os/user", "syscall"},
	},
	{path: auth + "subprocess", may: []string{auth + "thread", "internal/capability", "internal/pump", "internal/rlimit"}, beyond: []string{unix}, never: []string{"net", "os/user"}},
	{path: "internal/auth/admin/explain", may: []string{auth + "claims", auth + "idtoken", auth + "policy", "internal/job"}, never: effects},
	{path: auth + "claims", may: []string{"internal/job"}, never: effects},
	{
		path: auth + "idtoken", may: []string{
			auth + "subprocess", auth + "claims", auth + "statedir", auth + "thread", "internal/failure", "internal/job", "internal/jwks", "internal/procfs", "internal/strictjson", "internal/trustedfile",
		},
		never: []string{"net/http", "crypto/tls", "os/exec", "os/user"},
	},
	{
		path: "internal/auth/admin/setup", may: []string{"internal/config", "internal/eintr", "internal/executors", "internal/job", "internal/noreplace", "internal/trustedfile"},
		beyond: []string{toml, unix}, never: []string{"net", "os/exec", "os/user"},
	},
	{path: auth + "policy", may: []string{auth + "claims", "internal/failure", "internal/glob", "internal/job", "internal/passwd", "internal/settings"}, never: effects},
	{
		path: auth + "privdrop", may: []string{
			auth + "policy", "internal/capability", "internal/failure", "internal/inherit", "internal/job", "internal/monitor", "internal/procfs", "internal/programs", "internal/rlimit", "internal/settings",
		},
		beyond: []string{unix}, never: []string{"net", "os/exec", "os/user"},
	},
	{
		path: auth + "basedir", may: []string{"internal/eintr", "internal/failure", "internal/job", "internal/trustedfile"},
		beyond: []string{unix}, never: []string{"net", "os/exec", "os/user"},
	},
	{
		path: auth + "runas", may: []string{auth + "subprocess", auth + "claims", auth + "thread", "internal/failure", "internal/job", "internal/strictjson", "internal/trustedfile"},
		beyond: []string{unix}, never: []string{"net", "os/exec", "os/user"},
	},
	{path: auth + "state", may: []string{
		auth + "policy", auth + "statedir", "internal/failure", "internal/ipc", "internal/job", "internal/trustedfile",
	}, never: []string{"os", "net", "syscall"}},
	{
		path: auth + "statedir", may: []string{auth + "thread", "internal/failure", "internal/job", "internal/lockwait", "internal/trustedfile"}, beyond: []string{unix},
		never: []string{"net", "os/exec", "os/user"},
	},
	{path: auth + "thread", may: []string{"internal/crash", "internal/job"}, beyond: []string{unix}, never: []string{"os", "net"}},

	{path: "internal/jobrun/engines", may: []string{jobrun + "container", jobrun + "container/*", jobrun + "scheduler", "internal/settings"}, never: effects},
	{path: "internal/jobrun/own", may: []string{"internal/job", jobrun + "batch", jobrun + "workspace"}, never: []string{"net", "os/exec", "os/user"}},
	{path: "internal/jobrun", may: []string{
		"internal/jobrun/engines", jobrun + "batch", jobrun + "confine", jobrun + "container", jobrun + "executor", jobrun + "dropcheck", jobrun + "imagestore", jobrun + "process", jobrun + "diskspace",
		jobrun + "safedir", jobrun + "scheduler", jobrun + "workspace",
		"internal/failure", "internal/image", "internal/ipc", "internal/inherit", "internal/job", "internal/lockdown", "internal/joblog", "internal/proctree", "internal/settings", "internal/version",
	}, beyond: []string{unix}, never: []string{"net", "os/exec"}},
	{path: jobrun + "batch", may: []string{
		jobrun + "tail", jobrun + "loginshell", jobrun + "process", jobrun + "scheduler", jobrun + "diskspace",
		"internal/failure", "internal/ipc", "internal/job", "internal/joblog", "internal/proctree", "internal/pump",
	}, beyond: []string{unix}, never: []string{"net", "os/exec"}},
	{path: "internal/cell", never: effects},
	{path: jobrun + "container", may: []string{jobrun + "scheduler", "internal/cell", "internal/failure", "internal/image", "internal/job"}, never: effects},
	{path: jobrun + "container/*", may: []string{jobrun + "container", jobrun + "scheduler", "internal/failure", "internal/image", "internal/job"}, never: effects},
	{path: jobrun + "imagestore", may: []string{
		jobrun + "container", jobrun + "diskspace", jobrun + "process", jobrun + "safedir", "internal/eintr", "internal/failure", "internal/image", "internal/job", "internal/joblog", "internal/lockwait", "internal/trustedfile",
	}, beyond: []string{unix}, never: []string{"net", "os/exec"}},
	{
		path: jobrun + "confine", may: []string{"internal/failure", "internal/rlimit", "internal/seccomp", "internal/settings"},
		beyond: []string{unix}, never: []string{"net", "os/exec"},
	},
	{path: jobrun + "executor", may: []string{
		"internal/jobrun/engines", jobrun + "batch", jobrun + "container", jobrun + "imagestore", jobrun + "tail", jobrun + "loginshell", jobrun + "process", jobrun + "safedir", jobrun + "scheduler", jobrun + "scheduler/*",
		"internal/eintr", "internal/failure", "internal/ipc", "internal/job", "internal/joblog", "internal/proctree", "internal/pump",
	}, beyond: []string{unix}, never: []string{"net", "os/exec"}},
	{
		path: jobrun + "safedir", may: []string{jobrun + "diskspace", "internal/eintr", "internal/failure", "internal/job", "internal/lockwait", "internal/mounts", "internal/noreplace", "internal/trustedfile"},
		beyond: []string{unix}, never: []string{"net", "os/exec"},
	},
	{path: jobrun + "tail", may: []string{"internal/eintr"}, beyond: []string{unix}, never: []string{"net", "os/exec"}},
	{path: jobrun + "loginshell", may: []string{"internal/job", "internal/joblog"}, never: effects},
	{path: jobrun + "dropcheck", may: []string{"internal/capability", "internal/inherit", "internal/job"}, beyond: []string{unix}, never: []string{"net", "os/exec"}},
	{path: jobrun + "process", may: []string{"internal/failure", "internal/proctree", "internal/pump"}, beyond: []string{unix}, never: []string{"net", "os/exec"}},
	{path: jobrun + "scheduler", may: []string{"internal/failure", "internal/job"}, never: effects},
	{path: jobrun + "scheduler/schedulertest", may: []string{jobrun + "scheduler"}, never: []string{"net", "os/exec"}}, // for tests
	{path: jobrun + "scheduler/*", may: []string{jobrun + "scheduler", "internal/job"}, never: effects},
	{path: jobrun + "diskspace", may: []string{"internal/failure", "internal/mounts"}, beyond: []string{unix}, never: []string{"net", "os/exec"}},
	{path: jobrun + "workspace", may: []string{
		jobrun + "safedir", jobrun + "diskspace", jobrun + "loginshell", "internal/failure", "internal/ipc", "internal/job", "internal/lockwait", "internal/procfs", "internal/proctree",
	}, beyond: []string{unix}, never: []string{"net", "os/exec"}},
}
