package privdrop

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// ProgramMayChangeIDs is MayChangeIDs for a program that does not run yet: whether it
// could change ids as the account. It checks the file of the program and the attributes
// of this process.
func ProgramMayChangeIDs(program string, uid job.UID) error {
	if err := checkHostIDs(); err != nil {
		return err
	}
	held, err := capability.FileSet(program)
	if err != nil {
		return failure.Privatef("cannot read the file capabilities of %s: %w", program, err)
	}
	own, err := capability.Effective()
	if err != nil {
		return failure.Privatef("cannot read this process's capabilities: %w", err)
	}
	lost := lostByExec(program, uid)
	missing := missingOf(func(bit uint) bool { return uid == 0 || lost == "" && held.Has(bit) || inherits(own, bit) })
	if len(missing) == 0 {
		return nil
	}
	if lost == "" {
		lost = ": run it as root, or give it the file capabilities cap_setuid,cap_setgid"
	}
	return failure.Privatef("downscope is setuid, but %s lacks %s%s", program, strings.Join(missing, " and "), lost)
}

// inherits reports whether a program without file capabilities would inherit one of this
// process, as from a service with ambient capabilities (capabilities(7)).
func inherits(own capability.Set, bit uint) bool { return os.Geteuid() != 0 && own.Has(bit) }

// lostByExec is why the program would not get its file capabilities, "" if it would
// (capabilities(7), mount(8)).
func lostByExec(program string, uid job.UID) string {
	var fs unix.Statfs_t
	switch {
	case uid != 0 && os.Geteuid() == int(uid) && noNewPrivs():
		return withNoNewPrivs
	case unix.Statfs(program, &fs) == nil && fs.Flags&unix.ST_NOSUID != 0:
		return ": its file system is mounted with nosuid, which disables file capabilities"
	}
	return ""
}
