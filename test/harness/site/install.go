package site

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// Install is one copy of the programs, for all sites of a process.
type Install struct {
	// Dir is a new directory that others can read and only its owner can write,
	// below parents of which the same is true.
	Dir string
	// Bin has jacamar-auth, jacamar, the runner's helper as gitlab-runner, and
	// fakerunner.
	Bin string
	// Accounts are this process's accounts.
	Accounts Accounts

	lock *os.File
	// jobs counts them: the sites' jobs run as the same accounts.
	jobs atomic.Int64
	// builds are in these accounts' directories.
	builds holders
}

// installed builds at most once in a process: it takes seconds, and the result does not
// change.
var installed = sync.OnceValues(NewInstall)

// Installed is the installation that the sites of this process share.
func Installed() (*Install, error) { return installed() }

const dirPrefix = "jacamar-site-"

// NewInstall locks a set of accounts, waiting for one if necessary, removes what a killed
// process of that set has left, and builds the programs.
func NewInstall() (*Install, error) {
	parent, err := parentDir()
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		if err := ensureAll(); err != nil {
			return nil, err
		}
	}
	lock, n, err := lockAccountSet(parent)
	if err != nil {
		return nil, err
	}
	prefix := fmt.Sprintf("%s%d-", dirPrefix, n)
	if err := errors.Join(accountSet(n).endProcesses(), sweep(filepath.Join(parent, prefix+"*"))); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	dir, err := os.MkdirTemp(parent, fmt.Sprintf("%s%d-", prefix, os.Getpid()))
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	i := &Install{Dir: dir, Bin: filepath.Join(dir, "bin"), Accounts: accountSet(n), lock: lock}
	if err := errors.Join(os.Chmod(dir, 0o755), i.build()); err != nil {
		return nil, errors.Join(err, i.Remove())
	}
	return i, nil
}

// lockAccountSet locks the first set of accounts that is free, or waits for the first one.
func lockAccountSet(parent string) (lock *os.File, n int, err error) {
	for n := range accountSets() {
		if lock, err := tryLock(lockFile(parent, n)); err == nil {
			return lock, n, nil
		}
	}
	lock, err = exclusive(lockFile(parent, 0))
	return lock, 0, err
}

func lockFile(parent string, n int) string {
	return filepath.Join(parent, fmt.Sprintf(".%s%d.lock", dirPrefix, n))
}

// parentDir is a directory with trustworthy parents: a configuration below a
// world-writable directory would be refused.
func parentDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/srv", os.MkdirAll("/srv", 0o755)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return cache, os.MkdirAll(cache, 0o755)
}

// tryLock takes a lock that is free.
func tryLock(path string) (*os.File, error) {
	file, err := openLock(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
}

// exclusive waits for the lock that excludes every other process of the set. The wait
// counts towards the time that go test gives a package, so it prints a message.
func exclusive(path string) (*os.File, error) {
	file, err := openLock(path)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "site: all test accounts are taken, waiting for the first")
	if err := flock(int(file.Fd())); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock %s: %w", path, err), file.Close())
	}
	return file, nil
}

// flock waits, also when a signal of Go's scheduler interrupts it.
func flock(fd int) error {
	for {
		if err := syscall.Flock(fd, syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}

// sweep removes directories. The holder of the set's lock is alone, so that all of them
// belong to a killed process.
func sweep(pattern string) error {
	left, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// commands are what is built, by its name in Bin.
var commands = map[string]string{
	"jacamar-auth":   "jacamar-ci/cmd/jacamar-auth",
	"jacamar":        "jacamar-ci/cmd/jacamar",
	"jacamar-admin":  "jacamar-ci/cmd/jacamar-admin",
	"jacamar-noauth": "jacamar-ci/cmd/jacamar-noauth",
	"jacamar-keys":   "jacamar-ci/cmd/jacamar-keys",
	"gitlab-runner":  "jacamar-ci/test/harness/fakerunner/gitlab-runner",
	"fakerunner":     "jacamar-ci/test/harness/fakerunner/standalone",
}

func (i *Install) build() error {
	if err := os.Mkdir(i.Bin, 0o755); err != nil {
		return err
	}
	for name, path := range commands {
		target := filepath.Join(i.Bin, name)
		argv := []string{"go", "build", "-trimpath", "-o", target, path}
		if built := os.Getenv(builtVariable); built != "" {
			argv = []string{"cp", filepath.Join(built, name), target}
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build %s: %w\n%s", path, err, strings.TrimSpace(string(out)))
		}
		// Whatever the umask is, the job's account must be able to run it.
		mode := os.FileMode(0o755)
		if name == "jacamar" || name == "jacamar-keys" {
			mode = 0o711 // as the packages install it
		}
		if err := os.Chmod(target, mode); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes the installation and unlocks the set for the next process.
func (i *Install) Remove() error {
	return errors.Join(os.RemoveAll(i.Dir), i.lock.Close())
}
