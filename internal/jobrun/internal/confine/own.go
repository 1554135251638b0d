package confine

import (
	"strings"

	"jacamar-ci/internal/seccomp"
)

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
