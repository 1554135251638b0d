package privdrop

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// Strategy is how the account is reached.
type Strategy string

// The strategies.
const (
	Setuid Strategy = "setuid" // by this process's own capabilities, root's or the file's
	Sudo   Strategy = "sudo"   // by a sudoers rule
	None   Strategy = "none"   // not at all: the job runs as this process does
)

// plan is what will be executed, and as whom; nil credentials mean unchanged.
type plan struct {
	argv []string
	as   *syscall.Credential
	uid  job.UID
}

func (l Launcher) plan(a job.Account, stage job.Stage) (plan, error) {
	own := plan{argv: []string{l.Jacamar.String(), string(stage)}, uid: a.UID}
	switch l.Strategy {
	case Setuid:
		own.as = credential(a)
		return own, first(noTerminal, MayChangeIDs, MemoryIsClosed)
	case Sudo:
		own.argv = append([]string{sudo, "-n", "-H", "-u", a.Name.String(), "--"}, own.argv...)
		return own, first(noTerminal, MaySudo)
	case None:
		if int(a.UID) != os.Geteuid() {
			return plan{}, failure.Deniedf("downscope is none: the account must be this process's uid %d, not %s", os.Geteuid(), a.Name)
		}
		return own, nil
	}
	return plan{}, failure.Configf("downscope %q is not a strategy", string(l.Strategy))
}

// attributes gives what is started a session of its own, out of reach of the runner's
// terminal. A sudo is left in this session where that has none: it stops itself when
// its command was stopped, and of all that this process could send it only SIGCONT
// within a session passes (kill(2)). jacamar then makes a session itself.
func (p plan) attributes(terminal func() bool) *syscall.SysProcAttr {
	if p.argv[0] == sudo && !terminal() {
		return &syscall.SysProcAttr{Setpgid: true}
	}
	return &syscall.SysProcAttr{Credential: p.as, Setsid: true}
}

// sessionTerminal reports whether this session has a controlling terminal, as far as
// it can be known (tty(4)).
func sessionTerminal() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	_ = unix.Close(fd)
	return !errors.Is(err, unix.ENXIO)
}

// first returns the first refusal.
func first(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// credential names every id of the account; an empty list of groups would leave
// none, never this process's own.
func credential(a job.Account) *syscall.Credential {
	c := &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID), Groups: []uint32{}}
	for _, g := range a.Groups {
		c.Groups = append(c.Groups, uint32(g))
	}
	return c
}

// sudo is never looked for along a PATH.
const sudo = "/usr/bin/sudo"

// MaySudo refuses when sudo cannot become anybody. Whether its rules let it is
// for sudo to say.
func MaySudo() error {
	var info unix.Stat_t
	if err := unix.Stat(sudo, &info); err != nil {
		return failure.Privatef("downscope is sudo, but %s cannot be used: %w", sudo, err)
	}
	return judgeSudo(info.Uid, info.Mode, noNewPrivs())
}

func judgeSudo(owner, mode uint32, noNewPrivs bool) error {
	switch {
	case owner != 0 || mode&unix.S_ISUID == 0:
		return failure.Privatef("downscope is sudo, but %s is not root's or has no setuid bit", sudo)
	case noNewPrivs:
		return failure.Privatef("downscope is sudo, but no_new_privs is set (NoNewPrivileges= in the runner's unit?), which makes setuid bits void")
	}
	return nil
}

// noTerminal refuses to become anybody for a person at a terminal: the account
// would hold it, and could type into it (TIOCSTI) or read what is typed.
func noTerminal() error {
	for fd := range 3 {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			return failure.Privatef("this is a terminal (descriptor %d): jobs are started by GitLab Runner, not by hand", fd)
		}
	}
	return nil
}
