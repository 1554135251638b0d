package privdrop

import (
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/failure"
)

// MayChangeIDs refuses when the privileges are missing that setuid needs, and
// says which and, where it can be told, why.
func MayChangeIDs() error {
	if err := hostIDs(); err != nil {
		return err
	}
	held, err := capability.Effective()
	if err != nil {
		return failure.Privatef("cannot read this process's capabilities: %w", err)
	}
	missing := missingOf(held.Has)
	if len(missing) == 0 {
		return nil
	}
	return failure.Privatef("downscope is setuid, but this process lacks %s%s", strings.Join(missing, " and "), why())
}

// missingOf names the capabilities that a change of ids needs and has does not report.
func missingOf(has func(bit uint) bool) (missing []string) {
	for _, c := range []struct {
		name string
		bit  uint
	}{{"CAP_SETUID", unix.CAP_SETUID}, {"CAP_SETGID", unix.CAP_SETGID}} {
		if !has(c.bit) {
			missing = append(missing, c.name)
		}
	}
	return missing
}

const withNoNewPrivs = ": no_new_privs is set (NoNewPrivileges= in the runner's unit?), which disables file capabilities"

func why() string {
	if noNewPrivs() {
		return withNoNewPrivs
	}
	return ": run it as root, or give the file capabilities cap_setuid,cap_setgid on a file system without nosuid"
}

func noNewPrivs() bool {
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err == nil && set == 1
}

// hostIDs refuses inside a user namespace with ids of its own: root is not root
// there, and an account's uid is somebody else's on the machine
// (user_namespaces(7)).
func hostIDs() error {
	foreign, err := capability.UserNamespaceMap()
	switch {
	case err != nil:
		return failure.Privatef("cannot tell whether ids are the machine's own: %w", err)
	case foreign != "":
		return failure.Privatef("downscope is setuid, but this process is in a user namespace, where ids are not the machine's own (%s)", foreign)
	}
	return nil
}
