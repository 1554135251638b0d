// Package cell builds the command that runs another one in namespaces of its own. It is
// pure.
package cell

// Cell is a user, mount, cgroup and PID namespace of unshare(1) of util-linux. Only one id
// is mapped, so it needs neither subordinate ids nor privileges; it works with an empty
// bounding set and under no_new_privs. When the process that started the cell dies, the
// kernel kills all processes in it.
//
// Entering a user namespace clears the parent-death signal (commit_creds in
// kernel/cred.c), so setpriv(1) sets it again. The innermost sh is process 1: it ignores
// TERM because it has no handler, and reaps the orphans of engines.
type Cell struct {
	// Network adds a network namespace, with a loopback device.
	Network bool
	// NoDeathSignal omits setpriv, for util-linux before 2.33.
	NoDeathSignal bool
}

// mounts hide what engines would find of the host: crun(1) refuses a host with both
// versions of cgroups, and podman(1) keeps locks in /dev/shm that a killed one leaves
// behind. Without these mounts engines work on most hosts, so a failure is not an error.
const mounts = `mount -t tmpfs tmpfs /dev/shm 2>/dev/null; mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
`

const (
	plainInit   = mounts + `"$@"; exit $?`
	networkInit = mounts + `ip link set lo up && "$@"; exit $?`
)

// Programs are those that the cell itself needs.
func (c Cell) Programs() []string {
	programs := []string{"unshare", "sh", "mount"}
	if !c.NoDeathSignal {
		programs = append(programs, "setpriv")
	}
	if c.Network {
		programs = append(programs, "ip")
	}
	return programs
}

// Helpers are the names of processes of the cell that a request to stop must not end.
// The innermost sh is not among them: without a handler it ignores TERM.
func (c Cell) Helpers() []string { return []string{"unshare", "setpriv"} }

// Argv returns the command that runs inner in the cell. It passes exit codes and
// descriptors.
func (c Cell) Argv(inner []string) []string {
	argv := []string{"unshare", "--user", "--map-root-user", "--mount", "--cgroup"}
	if c.Network {
		argv = append(argv, "--net")
	}
	argv = append(argv, "--")
	if !c.NoDeathSignal {
		argv = append(argv, "setpriv", "--pdeathsig", "KILL", "--")
	}
	argv = append(argv, "unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--")
	text := plainInit
	if c.Network {
		text = networkInit
	}
	return append(append(argv, "sh", "-c", text, "cell"), inner...)
}
