// Package confine gives a job's processes the limits of the site, and takes from
// them what the site does not want them to have. Both hold on this host: what a
// batch system runs elsewhere has the batch system's rules.
package confine

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/seccomp"
	"jacamar-ci/internal/settings"
)

// umask is that of a login: others may read what the job makes outside its own
// directories, which have mode 0700, and no other account may write it.
const umask = 0o022

// Process sets this process's limits and umask, which all its children have,
// scheduler commands as well: batch systems hand them on to the nodes.
func Process(c settings.Confinement) error {
	unix.Umask(umask)
	if c.SetStackSize {
		if err := rlimit.RaiseStack(); err != nil {
			return beyond(err)
		}
	}
	for _, l := range c.Limits.Set() {
		if err := l.Set(0); err != nil {
			return beyond(err)
		}
	}
	return nil
}

func beyond(err error) error {
	return failure.Systemf("cannot set the job's limits: %w", err).WithHint("the site asks for more than the runner's service has: its administrators can raise that")
}

// Job confines the programs that the calling thread starts, to which the goroutine
// must be locked, and this process with them, on all its threads: a job that took it
// over would gain nothing. What this process itself needs it keeps, the thread does
// not.
func Job(c settings.Confinement) error {
	filter := c.Filter()
	switch {
	case !c.NoNewPrivs:
		return nil
	case filter == nil:
		return noNewPrivs()
	}
	if err := seccomp.NoNewPrivs(); err != nil {
		return err
	}
	whole := filter.WithAllowed(own())
	if err := whole.LoadAll(); err != nil {
		return err
	}
	if slices.Equal(whole.Program(), filter.Program()) {
		return nil
	}
	return filter.Load()
}

// noNewPrivs sets it on all threads, where no filter does.
func noNewPrivs() error {
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); errno != 0 {
		return fmt.Errorf("cannot set no_new_privs: %w", errno)
	}
	return nil
}

// needed are the calls that jacamar makes after it has confined itself. None of them
// leads out of a confinement: a job may be refused any, and jacamar would only be a
// way to files of the same account.
var needed = [...]string{
	// Go's runtime.
	"brk clock_gettime clone close epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 exit exit_group futex getpid getrandom gettid",
	"madvise mmap mprotect munmap nanosleep read restart_syscall rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield",
	"sigaltstack tgkill write",
	// To start a shell, with the exact filter.
	"chdir dup dup3 execve fcntl getppid kill memfd_create pipe2 prctl prlimit64 seccomp setsid",
	// To move its output, and to find and end what it leaves.
	"getdents64 poll ppoll pidfd_open pidfd_send_signal readlinkat shutdown splice wait4 waitid",
	// To look after the job's directories.
	"faccessat faccessat2 fchmod fchmodat flock fstat fstatfs fsync ftruncate getcwd linkat lseek mkdirat newfstatat openat openat2",
	"pread64 pwrite64 quotactl quotactl_fd readv renameat renameat2 statfs statx symlinkat umask uname unlinkat utimensat utimes writev",
}

func own() (calls []seccomp.Call) {
	for _, line := range needed {
		for _, name := range strings.Fields(line) {
			if c, err := seccomp.ParseCall(name); err == nil {
				calls = append(calls, c)
			}
		}
	}
	return calls
}
