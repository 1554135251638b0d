package faultinjection

import (
	"fmt"
	"maps"
	"slices"
)

// point is one fault: the program, the stage, and the system call, counted in each thread
// separately.
type point struct {
	program program
	stage   string
	call    string
	fault   string // the name of an error, or kill
	count   int
}

// program is which part of the driver has the fault.
type program string

const (
	driver  program = "driver" // whatever the runner starts
	jacamar program = "jacamar"
	fetcher program = "jacamar-keys"
)

var programs = [...]program{driver, jacamar, fetcher}

// works reports whether the program does work of its own in a stage.
func (p program) works(stage string) bool {
	switch p {
	case fetcher:
		return stage == keyless
	case jacamar:
		return stage != keyless
	}
	return true
}

const kill = "KILL"

func (p point) String() string {
	return fmt.Sprintf("%s/%s/%s#%d/%s", p.program, p.stage, p.call, p.count, p.fault)
}

// inject is strace's syntax for the fault.
func (p point) inject() string {
	if p.fault == kill {
		return fmt.Sprintf("inject=%s:signal=KILL:when=%d", p.call, p.count)
	}
	return fmt.Sprintf("inject=%s:error=%s:when=%d", p.call, p.fault, p.count)
}

// stages are the calls by the runner that differ: all scripts run in one way, and
// the config stage does more where no keys are cached.
var stages = [...]string{"config", keyless, "prepare", "build_script", "cleanup"}

const keyless = "config without keys"

// failures are the errors that a call is made to return: those of the kernel when a
// resource is exhausted, and those on which a program might base a decision. The call
// itself is not executed then, so close(2) is not among them: the kernel closes whatever
// it returns. Nor are calls that cannot fail as Go's runtime makes them, and on whose
// failure it aborts in the middle of a fork: rt_sigaction(2) and the like.
var failures = map[string][]string{
	"openat": {"EMFILE", "ENOENT", "EACCES"}, "read": {"EIO"}, "write": {"ENOSPC", "EPIPE"}, "pread64": {"EIO"}, "pwrite64": {"EDQUOT"},
	"fstat": {"EIO"}, "newfstatat": {"EIO", "ENOENT"}, "statx": {"EIO"}, "getdents64": {"EIO"}, "readlinkat": {"EACCES"},
	"faccessat2": {"EACCES"}, "statfs": {"EIO"}, "fcntl": {"ENOLCK", "EINVAL"}, "flock": {"ENOLCK"}, "lseek": {"EIO"}, "fsync": {"EIO"},
	"ftruncate": {"ENOSPC"}, "mkdirat": {"ENOSPC", "EEXIST"}, "unlinkat": {"EIO", "ENOENT"}, "renameat": {"EIO"}, "renameat2": {"EIO"},
	"linkat": {"EIO"}, "fchmod": {"EPERM"}, "fchmodat": {"EPERM"}, "fchown": {"EPERM"}, "fchownat": {"EPERM"}, "utimensat": {"EPERM"}, "chdir": {"EACCES"},
	"setuid": {"EAGAIN", "EPERM"}, "setgid": {"EPERM"}, "setresuid": {"EAGAIN", "EPERM"}, "setresgid": {"EPERM"}, "setgroups": {"EPERM", "ENOMEM"},
	"getgroups": {"EINVAL"}, "prctl": {"EPERM", "EINVAL"}, "capget": {"EPERM"}, "capset": {"EPERM"}, "seccomp": {"EINVAL", "ENOMEM"},
	"prlimit64": {"EPERM"}, "close_range": {"ENOSYS", "EPERM"}, "openat2": {"ENOSYS", "EMFILE"}, "setsid": {"EPERM"},
	"socketpair": {"EMFILE", "ENOMEM"}, "socket": {"EMFILE", "EAFNOSUPPORT"}, "connect": {"ECONNREFUSED"}, "getsockopt": {"ENOTSOCK"},
	"shutdown": {"ENOTCONN"}, "sendto": {"ENOBUFS"}, "recvfrom": {"ECONNRESET"}, "ioctl": {"EIO"}, "poll": {"ENOMEM"}, "ppoll": {"ENOMEM"},
	"epoll_create1": {"EMFILE"}, "epoll_ctl": {"ENOSPC"}, "eventfd2": {"EMFILE"}, "pipe2": {"EMFILE"}, "dup3": {"EBUSY"}, "memfd_create": {"EMFILE"},
	"splice": {"ENOMEM", "EINVAL"}, "execve": {"EACCES", "ENOMEM"}, "clone": {"EAGAIN"}, "clone3": {"EAGAIN"}, "wait4": {"ECHILD", "EINTR"},
	"waitid": {"ECHILD", "EINTR"}, "pidfd_open": {"EMFILE", "ENOSYS"}, "pidfd_send_signal": {"EPERM"}, "mmap": {"ENOMEM"}, "uname": {"EFAULT"},
	"stat": {"EIO"}, "lstat": {"EIO"}, "readlink": {"EIO"}, "open": {"EMFILE", "EIO"}, "symlinkat": {"ENOSPC"}, "symlink": {"ENOSPC"}, "rmdir": {"EIO"},
	"lgetxattr": {"EIO"}, "access": {"EIO"}, "inotify_init1": {"EMFILE"}, "inotify_add_watch": {"ENOSPC"},
}

// most limits how many occurrences of one call are separate faults in a stage: Go's runtime begins with a hundred equal calls to rt_sigaction.
func most(call string) int {
	switch call {
	case "rt_sigaction", "rt_sigprocmask", "mmap", "futex", "madvise", "nanosleep", "prctl":
		return 8
	case "close", "fcntl":
		return 16
	}
	return 64
}

// points are all faults of a stage, by how often each call happens in it.
func points(p program, stage string, counts map[string]int) (all []point) {
	for _, call := range slices.Sorted(maps.Keys(counts)) {
		for _, n := range occurrences(counts[call], most(call)) {
			for _, fault := range append([]string{kill}, failures[call]...) {
				all = append(all, point{p, stage, call, fault, n})
			}
		}
	}
	return all
}

// occurrences are the numbers from 1 to n, or where these are too many the first,
// the last and others at even distances.
func occurrences(n, most int) (all []int) {
	if n <= most {
		most = n
	}
	for i := range most {
		all = append(all, 1+i*(n-1)/max(most-1, 1))
	}
	return all
}
