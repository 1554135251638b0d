package privdrop

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// plan is the command to execute and its credentials, nil for those of this process.
type plan struct {
	argv []string
	as   *syscall.Credential
	uid  job.UID
}

func (l Launcher) plan(a job.Account, stage job.Stage) (plan, error) {
	own := plan{argv: []string{l.Jacamar.String(), string(stage)}, uid: a.UID}
	switch l.Strategy {
	case settings.Setuid:
		own.as = credential(a)
		return own, firstError(checkNoTerminal, MayChangeIDs, CheckSuidDumpable)
	case settings.Sudo:
		own.argv = append([]string{SudoPath, "-n", "-H", "-u", a.Name.String(), "--"}, own.argv...)
		return own, firstError(checkNoTerminal, maySudo)
	case settings.None:
		if int(a.UID) != os.Geteuid() {
			return plan{}, failure.Privatef("downscope is none: the account must be this process's uid %d, not %s", os.Geteuid(), a.Name)
		}
		return own, nil
	}
	return plan{}, failure.Configf("downscope %q is not a strategy", string(l.Strategy))
}

// attributes starts the command in a new session, without access to the runner's
// terminal. If this session has no terminal, sudo stays in it: sudo stops itself when
// its command was stopped, and the only signal that this process may send to it is
// SIGCONT within a session (kill(2)). jacamar then creates a session itself.
func (p plan) attributes(terminal func() bool) *syscall.SysProcAttr {
	if p.argv[0] == SudoPath && !terminal() {
		return &syscall.SysProcAttr{Setpgid: true}
	}
	return &syscall.SysProcAttr{Credential: p.as, Setsid: true}
}

// sessionTerminal reports whether this session has or could have a controlling terminal
// (tty(4)).
func sessionTerminal() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	_ = unix.Close(fd)
	return !errors.Is(err, unix.ENXIO)
}

// firstError returns the first error of the checks.
func firstError(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// credential has every id of the account. An empty list of groups means none, never
// the groups of this process.
func credential(a job.Account) *syscall.Credential {
	c := &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID), Groups: []uint32{}}
	for _, g := range a.Groups {
		c.Groups = append(c.Groups, uint32(g))
	}
	return c
}

// SudoPath is where sudo is: it is never looked up in PATH.
const SudoPath = "/usr/bin/sudo"

// maySudo refuses if sudo cannot change accounts. It does not check sudo's rules.
func maySudo() error {
	var info unix.Stat_t
	if err := unix.Stat(SudoPath, &info); err != nil {
		return failure.Configf("downscope is sudo, but %s cannot be used: %w", SudoPath, err)
	}
	return checkSudo(info.Uid, info.Mode, noNewPrivs())
}

func checkSudo(owner, mode uint32, noNewPrivs bool) error {
	switch {
	case owner != 0 || mode&unix.S_ISUID == 0:
		return failure.Configf("downscope is sudo, but %s is not owned by root or has no setuid bit", SudoPath)
	case noNewPrivs:
		return failure.Configf("downscope is sudo, but no_new_privs is set (NoNewPrivileges= in the runner's unit?), which disables setuid bits")
	}
	return nil
}

// checkNoTerminal refuses to change accounts on a terminal: the account would get it,
// and could type into it (TIOCSTI) or read its input.
func checkNoTerminal() error {
	for fd := range 3 {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			return failure.Configf("descriptor %d is a terminal: GitLab Runner must start jobs, not a user", fd)
		}
	}
	return nil
}
