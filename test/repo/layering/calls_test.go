package layering

// ban is a call that no package makes, or only some.
type ban struct {
	pkg   string
	names []string
	why   string
	// in limits the ban to packages that begin so; empty is all of internal and cmd.
	in []string
	// early limits the ban to what runs before main: the values of package
	// variables.
	early bool
	// except are the files, or packages, that may make the call.
	except []string
}

// bans name the incident, if there was one.
var bans = []ban{
	{
		pkg: "os", names: []string{"Exit"}, except: []string{"cmd/jacamar/main.go", "cmd/jacamar-admin/main.go", "cmd/jacamar-auth/main.go", "cmd/jacamar-noauth/main.go", "cmd/jacamar-keys/main.go"},
		why: "only main exits: an exit elsewhere skips deferred calls",
	},
	{
		pkg: "log", names: []string{"Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"},
		why: "only main exits, and an error is returned",
	},
	{
		pkg: "os", names: []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv"}, except: []string{"cmd/jacamar/commands.go", "internal/lockdown"},
		why: "the caller of the program controls its environment (sudo: CVE-2005-4158, CVE-2016-7543); lockdown empties it and customexec parses it",
	},
	{
		pkg: "os", names: []string{"Create"},
		why: "it truncates an existing file and follows links (worse than runc's CVE-2024-45310): use OpenFile with O_EXCL or O_NOFOLLOW, or an os.Root",
	},
	{
		pkg: "os", names: []string{"Chown", "Lchown", "Chmod", "Chtimes", "RemoveAll"}, in: []string{"internal/auth"},
		why: "a path may lead elsewhere by the time it is used (Slurm: CVE-2026-65109, Nomad: CVE-2026-6959): work on a descriptor or an os.Root",
	},
	{
		pkg: "path/filepath", names: []string{"Walk", "WalkDir", "EvalSymlinks"},
		why: "it follows names that others can change meanwhile: use descriptors, or an os.Root",
	},
	{
		pkg: "path/filepath", names: []string{"Glob"}, in: []string{"internal/auth"},
		why: "it follows names that others can change meanwhile: use descriptors, or an os.Root",
	},
	{
		pkg: "os/exec", names: []string{"Command", "CommandContext", "LookPath"}, except: []string{"internal/noauth/noauth.go"},
		why: "only subprocess, privdrop and process choose what a program starts with (OpenSSH ran a helper with its own groups: CVE-2021-41617)",
	},
	{
		pkg: "os", names: []string{"StartProcess"},
		why: "only subprocess, privdrop and process choose what a program starts with (OpenSSH ran a helper with its own groups: CVE-2021-41617)",
	},
	{
		pkg: "syscall", names: []string{"ForkExec", "StartProcess", "Exec"},
		except: []string{"cmd/jacamar/commands.go", "internal/auth/admin/init.go", auth + "privdrop", jobrun + "process", "internal/noauth/noauth.go"},
		why:    "only subprocess, privdrop and process choose what a program starts with (OpenSSH ran a helper with its own groups: CVE-2021-41617)",
	},
	{
		pkg: "net/http", names: []string{"DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm", "ProxyFromEnvironment"},
		why: "it has no time limit, follows redirects and uses a proxy from the environment",
	},
	{
		pkg: "regexp", names: []string{"MustCompile", "Compile"}, early: true,
		why: "a package's pattern is compiled in every stage (0.36 ms for seven): compile it at its first use, with sync.OnceValue",
	},
	{
		pkg: "fmt", names: []string{"Print", "Printf", "Println"},
		why: "the config stage's standard output is one JSON value: print through joblog.Writer",
	},
	{
		pkg: "time", names: []string{"Now", "Since", "Until", "Sleep"}, in: []string{auth + "policy", jobrun + "scheduler"},
		why: "rules and schedulers are pure: time is an argument",
	},
}
