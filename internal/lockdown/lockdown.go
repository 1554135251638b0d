// Package lockdown puts the process that the runner started into a known state
// before it looks at anything: whoever started it chose its environment, its
// descriptors, its signals and its limits.
package lockdown

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Inherited is what the caller gave and this process does without.
type Inherited struct {
	Environ []string
	// Core is the limit on core files, which a job must have as it was.
	Core unix.Rlimit
}

// Enter empties the environment and returns what it was. From here on no library
// can be steered by a variable (SSL_CERT_FILE, HTTPS_PROXY, GODEBUG, TMPDIR, …),
// no descriptor beyond 2 reaches a child, files are made private, no signal is
// ignored, and no other process of the caller may look into this one's memory or
// make it dump core.
func Enter() (was Inherited, err error) {
	was.Environ = os.Environ()
	os.Clearenv()
	unix.Umask(0o077)
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return was, fmt.Errorf("cannot seal the inherited descriptors: %w", err)
	}
	if was.Core, err = noCore(); err != nil {
		return was, fmt.Errorf("cannot forbid core dumps: %w", err)
	}
	if err := resetSignals(); err != nil {
		return was, err
	}
	if err := os.Chdir("/"); err != nil {
		return was, fmt.Errorf("cannot leave the caller's directory: %w", err)
	}
	return was, nil
}

// noCore also makes the process's files in /proc root's own, and keeps debuggers
// off (PR_SET_DUMPABLE in prctl(2)). Only the soft limit is lowered: a job's can
// then be what it was.
func noCore() (was unix.Rlimit, err error) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return was, err
	}
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &was); err != nil {
		return was, err
	}
	return was, unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 0, Max: was.Max})
}
