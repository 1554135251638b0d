package container

// Cell wraps a command in a user, mount and PID namespace made by unshare(1) of
// util-linux. One id is mapped, so neither subordinate ids nor any privilege is
// needed; it works with an empty bounding set and under no_new_privs. When the
// process that started the cell dies, the kernel ends everything inside.
//
// Entering a user namespace clears the parent-death signal (commit_creds in
// kernel/cred.c), so setpriv(1) sets it again. The innermost sh is process 1: it
// ignores TERM, having no handler, and reaps what engines leave behind.
type Cell struct {
	// Network gives the cell a network namespace of its own, with a loopback device.
	Network bool
	// NoRearm leaves setpriv out, for util-linux before 2.33.
	NoRearm bool
}

const (
	plainInit   = `"$@"; exit $?`
	networkInit = `ip link set lo up && "$@"; exit $?`
)

// Programs are those that the cell itself needs.
func (c Cell) Programs() []string {
	programs := []string{"unshare"}
	if !c.NoRearm {
		programs = append(programs, "setpriv")
	}
	if c.Network {
		programs = append(programs, "ip")
	}
	return programs
}

// Wrap returns the command that runs inner in a cell. Exit codes and descriptors
// pass through.
func (c Cell) Wrap(inner Command) Command {
	argv := []string{"unshare", "--user", "--map-root-user", "--mount"}
	if c.Network {
		argv = append(argv, "--net")
	}
	argv = append(argv, "--")
	if !c.NoRearm {
		argv = append(argv, "setpriv", "--pdeathsig", "KILL", "--")
	}
	argv = append(argv, "unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--")
	text := plainInit
	if c.Network {
		text = networkInit
	}
	return Command{Argv: append(append(argv, "sh", "-c", text, "cell"), inner.Argv...), Env: inner.Env}
}
