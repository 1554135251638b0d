package privdrop

import (
	"errors"
	"fmt"
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
	var missing []string
	for _, c := range []struct {
		name string
		bit  uint
	}{{"CAP_SETUID", unix.CAP_SETUID}, {"CAP_SETGID", unix.CAP_SETGID}} {
		if !held.Has(c.bit) {
			missing = append(missing, c.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return failure.Privatef("downscope is setuid, but this process lacks %s%s", strings.Join(missing, " and "), why())
}

func why() string {
	if noNewPrivs() {
		return ": no_new_privs is set (NoNewPrivileges= in the runner's unit?), which makes file capabilities void"
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
	foreign, err := capability.ForeignIDs()
	switch {
	case err != nil:
		return failure.Privatef("cannot tell whether ids are the machine's own: %w", err)
	case foreign != "":
		return failure.Privatef("downscope is setuid, but this process is in a user namespace, where ids are not the machine's own (%s)", foreign)
	}
	return nil
}

// dropBounding empties the bounding set of this thread: what it starts gains no
// capability ever, whatever bits a file has (capabilities(7)), but for low ports
// where they are left.
func dropBounding(lowPorts bool) error {
	for c := uintptr(0); ; c++ {
		if lowPorts && c == unix.CAP_NET_BIND_SERVICE {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if beyond(c, err, unix.Prctl(unix.PR_CAPBSET_READ, c, 0, 0, 0)) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot drop capability %d from the bounding set: %w", c, err)
		}
	}
}

// beyond tells, by the answers to dropping and to reading it, that the kernel does
// not know capability c. One refusal alone ends no list of what is to be dropped.
func beyond(c uintptr, drop, read error) bool {
	return c > 0 && errors.Is(drop, unix.EINVAL) && errors.Is(read, unix.EINVAL)
}
