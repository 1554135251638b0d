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
	var fs unix.Statfs_t
	_ = unix.Statfs(program, &fs) // no flags where it fails
	return programFacts{
		program: program, uid: uid, euid: job.UID(os.Geteuid()), held: held, own: own, noNewPrivs: noNewPrivs(), nosuid: fs.Flags&unix.ST_NOSUID != 0,
	}.mayChangeIDs()
}

// programFacts are what decides whether a program could change ids.
type programFacts struct {
	program            string
	uid, euid          job.UID        // of the program, and of this process
	held, own          capability.Set // of the file, and of this process
	noNewPrivs, nosuid bool           // of this process, and of the program's file system
}

func (f programFacts) mayChangeIDs() error {
	if f.uid == 0 {
		return nil
	}
	lost := f.lostByExec()
	missing := missingOf(func(bit uint) bool { return lost == "" && f.held.Has(bit) || f.inherits(bit) })
	if len(missing) == 0 {
		return nil
	}
	if lost == "" {
		lost = ": run it as root, or give it the file capabilities cap_setuid,cap_setgid"
	}
	return failure.Configf("downscope is setuid, but %s lacks %s%s", f.program, strings.Join(missing, " and "), lost)
}

// inherits reports whether a program without file capabilities would inherit one of this
// process, as from a service with ambient capabilities (capabilities(7)).
func (f programFacts) inherits(bit uint) bool { return f.euid != 0 && f.own.Has(bit) }

// lostByExec is why the program would not get its file capabilities, "" if it would
// (capabilities(7), mount(8)).
func (f programFacts) lostByExec() string {
	switch {
	case f.euid == f.uid && f.noNewPrivs:
		return withNoNewPrivs
	case f.nosuid:
		return ": its file system is mounted with nosuid, which disables file capabilities"
	}
	return ""
}
