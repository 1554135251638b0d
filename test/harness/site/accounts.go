package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Account is a local account.
type Account struct {
	Name     string
	UID, GID uint32
	Groups   []uint32
	Home     string
}

// Accounts are the accounts of one test process: two people, the service account of
// the runner, and the account of jacamar-auth's helpers and state. Every process of such an
// account belongs to the test.
type Accounts struct{ Alice, Bob, Runner, Helper string }

// accountSets is how many test processes may run at once: an ordinary user cannot make
// accounts, and has one only.
func accountSets() int {
	if os.Geteuid() == 0 {
		return 8
	}
	return 1
}

func accountSet(n int) Accounts {
	prefix := "jci-"
	if n > 0 {
		prefix = fmt.Sprintf("jci%d-", n)
	}
	return Accounts{Alice: prefix + "alice", Bob: prefix + "bob", Runner: prefix + "runner", Helper: prefix + "helper"}
}

// accountsLock keeps test processes that start at the same time on a new machine
// from creating the same account twice.
const accountsLock = "/run/jacamar-test-accounts.lock"

// ensureAll creates the missing accounts of all sets. They remain between runs: to create one
// again is harmless, to remove one is not. The first process on a new machine creates all,
// before any test: useradd(8) replaces /etc/passwd, and with that the kernel removes the
// mounts over it of the namespaces that other tests have (mount_namespaces(7)).
func ensureAll() error {
	return withAccountsLock(func() error {
		for n := range accountSets() {
			if err := accountSet(n).create(); err != nil {
				return err
			}
		}
		return nil
	})
}

func withAccountsLock(work func() error) error {
	lock, err := openLock(accountsLock)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := flock(int(lock.Fd())); err != nil {
		return fmt.Errorf("cannot lock %s: %w", accountsLock, err)
	}
	return work()
}

// BeforeCopy runs a function that copies the machine's files of accounts, for a process
// with files of its own in their place. All accounts are in the copy: one that is made in it
// would be missing later, and have the ids of another one.
func BeforeCopy(work func() error) error {
	if _, err := Installed(); err != nil {
		return err
	}
	return withAccountsLock(work)
}

// create is for the holder of the lock.
func (c Accounts) create() error {
	service := []string{"--system", "--user-group", "--create-home", "--home-dir", "/var/lib/" + c.Runner, "--shell", "/usr/sbin/nologin", "--comment", "jacamar test service"}
	helper := []string{"--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", "--comment", "jacamar test helpers"}
	for _, name := range c.people(maxPeople) {
		person := []string{"--create-home", "--shell", "/bin/bash", "--comment", "jacamar test user"}
		if err := ensureAccount(name, person); err != nil {
			return err
		}
	}
	return errors.Join(ensureAccount(c.Runner, service), ensureAccount(c.Helper, helper))
}

func ensureAccount(name string, args []string) error {
	if _, err := user.Lookup(name); err == nil {
		return nil
	}
	if copied() {
		return fmt.Errorf("cannot make the account %s in a copy of /etc: call BeforeCopy", name)
	}
	out, err := exec.Command("/usr/sbin/useradd", append(args, name)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot make the account %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	a, err := LookupAccount(name)
	if err != nil {
		return err
	}
	return a.ownHome()
}

// ownHome gives an account a home that a removed one has left: useradd(8) leaves that as
// it is.
func (a Account) ownHome() error {
	if _, err := os.Stat(a.Home); errors.Is(err, fs.ErrNotExist) {
		return nil // a service account's
	}
	return filepath.WalkDir(a.Home, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, int(a.UID), int(a.GID)))
	})
}

// copied reports whether another directory is mounted over /etc (proc_pid_mountinfo(5)).
func copied() bool {
	text, _ := os.ReadFile("/proc/thread-self/mountinfo")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == "/etc" && f[3] != "/" {
			return true
		}
	}
	return false
}

// maxPeople is how many People can be.
const maxPeople = 10

// people are the names of People.
func (c Accounts) people(count int) []string {
	names := []string{c.Alice, c.Bob}
	for n := len(names); n < maxPeople; n++ {
		names = append(names, fmt.Sprintf("%sp%d", strings.TrimSuffix(c.Alice, "alice"), n))
	}
	return names[:count]
}

// People returns accounts of jobs: Alice, Bob, and more. They have no processes.
func (c Accounts) People(count int) (all []Account, err error) {
	for _, name := range c.people(count) {
		a, err := LookupAccount(name)
		if err == nil {
			err = endAll(a)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// endAll kills the processes of an account.
func endAll(a Account) error {
	left, err := Find(OfUID(a.UID))
	if err != nil {
		return err
	}
	for _, p := range left {
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			return err
		}
	}
	return nil
}

// endProcesses kills what a killed test process has left running as accounts of the set, and empties
// the homes of its people, where such a process can have left a login profile or the
// records of its batch jobs: accounts that exist for tests only, and that the holder
// of the lock has to itself.
func (c Accounts) endProcesses() error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{c.Alice, c.Bob, c.Runner, c.Helper} {
		a, err := LookupAccount(name)
		if err != nil {
			continue // not created yet
		}
		if err := endAll(a); err != nil {
			return err
		}
		if name != c.Alice && name != c.Bob {
			continue
		}
		if err := a.resetHome("/etc/skel"); err != nil {
			return err
		}
	}
	return nil
}

// resetHome gives an account the home that useradd(8) made from a skeleton.
func (a Account) resetHome(skeleton string) error {
	entries, err := os.ReadDir(a.Home)
	if err != nil {
		return err
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(a.Home, e.Name())))
	}
	return errors.Join(err, os.CopyFS(a.Home, os.DirFS(skeleton)), a.ownHome())
}

// LookupAccount returns an account with all its groups.
func LookupAccount(name string) (Account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return Account{}, err
	}
	a := Account{Name: name, Home: u.HomeDir}
	if a.UID, err = parseID(u.Uid); err != nil {
		return Account{}, err
	}
	if a.GID, err = parseID(u.Gid); err != nil {
		return Account{}, err
	}
	groups, err := u.GroupIds()
	if err != nil {
		return Account{}, err
	}
	for _, text := range groups {
		gid, err := parseID(text)
		if err != nil {
			return Account{}, err
		}
		a.Groups = append(a.Groups, gid)
	}
	return a, nil
}

func parseID(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}

// jobAccount is the account of jobs. As root ensureAll has created it.
func (c Accounts) jobAccount() (Account, error) {
	if os.Geteuid() == 0 {
		return LookupAccount(c.Alice)
	}
	u, err := user.Current()
	if err != nil {
		return Account{}, err
	}
	return LookupAccount(u.Username)
}
