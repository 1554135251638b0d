package privdrop

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/procfs"
)

// MayChangeIDs refuses if this process lacks the privileges of downscope = "setuid".
// The error names the missing ones and, if known, the reason.
func MayChangeIDs() error {
	if err := checkHostIDs(); err != nil {
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
	return failure.Configf("downscope is setuid, but this process lacks %s%s", strings.Join(missing, " and "), capabilityHint())
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

func capabilityHint() string {
	if noNewPrivs() {
		return withNoNewPrivs
	}
	return ": run it as root, or give the file capabilities cap_setuid,cap_setgid on a file system without nosuid"
}

func noNewPrivs() bool {
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err == nil && set == 1
}

// checkHostIDs refuses in a user namespace with an id map: root is not the machine's
// root there, and a uid can be that of another account outside (user_namespaces(7)).
func checkHostIDs() error {
	foreign, err := capability.UserNamespaceMap()
	switch {
	case err != nil:
		return failure.Privatef("cannot determine whether this process is in a user namespace: %w", err)
	case foreign != "":
		return failure.Configf("downscope is setuid, but this process is in a user namespace, where ids are not the machine's own (%s)", foreign)
	}
	return nil
}

// suidDumpable controls access to a process whose ids change
// (https://docs.kernel.org/admin-guide/sysctl/fs.html#suid-dumpable).
const suidDumpable = "/proc/sys/fs/suid_dumpable"

// CheckSuidDumpable refuses if the kernel would give the account access to this
// process: the child that becomes the account shares this process's memory until it
// executes jacamar, and with fs.suid_dumpable = 1 processes of the account may attach
// to the child. A jacamar that its account cannot read would be accessible as well.
func CheckSuidDumpable() error {
	return checkSuidDumpable(procfs.Read(suidDumpable))
}

func checkSuidDumpable(text []byte, err error) error {
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a container's /proc has none, and the kernel's own value is 0
		return failure.Privatef("cannot read %s: %w", suidDumpable, err)
	}
	if strings.TrimSpace(string(text)) == "1" {
		return failure.Configf("downscope is setuid, but fs.suid_dumpable is 1, which gives an account access to a program that changes to it: set it to 0 or 2")
	}
	return nil
}

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
