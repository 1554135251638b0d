package seccomp

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// family is a set of equivalent system calls: a program can use any of them instead
// of another. A list that names one of calls refuses all of them, and also the calls
// that can have the same effect among others.
type family struct{ calls, also string }

// families are those of Linux (syscalls(2)). Names that an architecture lacks are
// ignored: only ppc64le has socketcall and ipc, in addition to the separate calls.
var families = [...]family{
	// Processes.
	{"clone clone3 fork vfork", ""},
	{"execve execveat", ""},
	{"wait4 waitid waitpid", ""},
	{"kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal", ""},
	{"pidfd_open pidfd_getfd pidfd_send_signal", ""},
	{"ptrace", "process_vm_readv process_vm_writev pidfd_getfd"},
	{"process_vm_readv process_vm_writev", ""},
	{"rt_sigaction sigaction signal", ""},
	{"rt_sigprocmask sigprocmask sgetmask ssetmask", ""},
	{"rt_sigpending sigpending", ""},
	{"rt_sigsuspend sigsuspend", ""},
	{"rt_sigreturn sigreturn", ""},
	{"alarm setitimer", ""},
	{"signalfd signalfd4", ""},
	{"nanosleep clock_nanosleep", ""},
	{"futex futex_wait futex_wake futex_requeue futex_waitv", ""},

	// Identity and limits of a process.
	{"setuid setreuid setresuid setfsuid", ""},
	{"setgid setregid setresgid setfsgid", ""},
	{"setrlimit ulimit", "prlimit64"},
	{"getrlimit ugetrlimit", "prlimit64"},
	{"prlimit64", "setrlimit getrlimit ugetrlimit ulimit"},
	{"setpriority nice", "sched_setattr"},
	{"sched_setscheduler sched_setparam sched_setattr", ""},
	{"sched_getscheduler sched_getparam sched_getattr", ""},
	{"set_mempolicy set_mempolicy_home_node mbind", ""},
	{"move_pages migrate_pages", ""},
	{"add_key request_key keyctl", ""},
	{"iopl ioperm", ""},
	{"uname olduname oldolduname", ""},

	// Files by path.
	{"open openat openat2 creat", "open_by_handle_at"},
	{"name_to_handle_at open_by_handle_at", ""},
	{"stat oldstat lstat oldlstat fstat oldfstat newfstatat statx", ""},
	{"access faccessat faccessat2", ""},
	{"chmod fchmod fchmodat fchmodat2", ""},
	{"chown lchown fchown fchownat", ""},
	{"utime utimes futimesat utimensat", ""},
	{"rename renameat renameat2", ""},
	{"link linkat", ""},
	{"symlink symlinkat", ""},
	{"readlink readlinkat", ""},
	{"unlink unlinkat", ""},
	{"rmdir", "unlinkat"},
	{"mkdir mkdirat", ""},
	{"mknod mknodat", ""},
	{"truncate ftruncate", ""},
	{"chdir fchdir", ""},
	{"setxattr lsetxattr fsetxattr setxattrat", ""},
	{"getxattr lgetxattr fgetxattr getxattrat", ""},
	{"listxattr llistxattr flistxattr listxattrat", ""},
	{"removexattr lremovexattr fremovexattr removexattrat", ""},
	{"statfs fstatfs statfs64 fstatfs64 ustat", "statmount"},
	{"getdents getdents64 readdir", ""},
	{"quotactl quotactl_fd", ""},
	{"inotify_init inotify_init1", ""},
	{"mount move_mount mount_setattr fsopen fsconfig fsmount fspick open_tree open_tree_attr", ""},
	{"umount umount2", ""},

	// Open files.
	{"read readv pread64 preadv preadv2", "io_submit"},
	{"write writev pwrite64 pwritev pwritev2", "io_submit"},
	{"fsync fdatasync", "io_submit sync sync_file_range sync_file_range2 syncfs"},
	{"sync syncfs", ""},
	{"sync_file_range sync_file_range2", ""},
	{"io_setup io_submit io_getevents io_pgetevents io_cancel io_destroy", ""},
	{"splice", "sendfile copy_file_range"},
	{"sendfile", "splice copy_file_range"},
	{"copy_file_range", "sendfile splice"},
	{"dup dup2 dup3", ""},
	{"close close_range", ""},
	{"pipe pipe2", ""},
	{"lseek _llseek", ""},
	{"poll ppoll", ""},
	{"select _newselect pselect6", ""},
	{"epoll_create epoll_create1", ""},
	{"epoll_ctl epoll_ctl_old", ""},
	{"epoll_wait epoll_wait_old epoll_pwait epoll_pwait2", ""},
	{"eventfd eventfd2", ""},
	{"fadvise64 readahead", ""},

	// Sockets.
	{"socket", "socketcall"},
	{"socketpair", "socketcall"},
	{"bind", "socketcall"},
	{"connect", "socketcall"},
	{"listen", "socketcall"},
	{"accept accept4", "socketcall"},
	{"getsockname", "socketcall"},
	{"getpeername", "socketcall"},
	{"shutdown", "socketcall"},
	{"setsockopt", "socketcall"},
	{"getsockopt", "socketcall"},
	{"send sendto sendmsg sendmmsg", "socketcall"},
	{"recv recvfrom recvmsg recvmmsg", "socketcall"},

	// System V IPC.
	{"semop semtimedop", "ipc"},
	{"semget", "ipc"},
	{"semctl", "ipc"},
	{"msgget", "ipc"},
	{"msgctl", "ipc"},
	{"msgsnd", "ipc"},
	{"msgrcv", "ipc"},
	{"shmget", "ipc"},
	{"shmctl", "ipc"},
	{"shmat", "ipc"},
	{"shmdt", "ipc"},

	// Memory.
	{"mprotect pkey_mprotect", ""},
	{"mlock mlock2 mlockall", ""},
	{"munlock munlockall", ""},
	{"madvise process_madvise", ""},
	{"memfd_create memfd_secret", ""},

	// The machine.
	{"init_module finit_module create_module", ""},
	{"kexec_load kexec_file_load", ""},
	{"settimeofday clock_settime stime", "adjtimex clock_adjtime"},
	{"adjtimex clock_adjtime", "settimeofday clock_settime stime"},
}

// ringCalls create and use a ring, which opens, connects, reads and writes without
// system calls that a filter sees (io_uring(7)). Every block list refuses rings.
const ringCalls = "io_uring_setup io_uring_enter io_uring_register"

// guard refuses a call by one of its arguments: if the call named is refused, another
// call must not have the same effect by that argument.
type guard struct {
	named, call string
	// arg counts from 0. The call is refused if the argument has a bit of the mask or,
	// with equal, if it is the mask.
	arg   int
	mask  uint32
	equal bool
}

// namespaceFlags are the flags of clone(2) for new namespaces.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

var guards = [...]guard{
	{named: "connect", call: "sendto", arg: 3, mask: unix.MSG_FASTOPEN},
	{named: "connect", call: "sendmsg", arg: 2, mask: unix.MSG_FASTOPEN},
	{named: "connect", call: "sendmmsg", arg: 3, mask: unix.MSG_FASTOPEN},
	{named: "unshare", call: "clone", arg: 0, mask: namespaceFlags},
	// The flags of clone3 are in memory, which a filter cannot read.
	{named: "unshare", call: "clone3", arg: 0, mask: 1<<32 - 1},
	{named: "seccomp", call: "prctl", arg: 0, mask: unix.PR_SET_SECCOMP, equal: true},
}

// Refused returns the calls that Block refuses: each with its family, and the ring
// calls, except those in Allow.
func (f Filter) Refused() []Call {
	if len(f.Block) == 0 {
		return nil
	}
	refused := strings.Fields(ringCalls)
	for _, c := range f.Block {
		refused = append(refused, c.name)
		for _, family := range families {
			if members := strings.Fields(family.calls); slices.Contains(members, c.name) {
				refused = append(append(refused, members...), strings.Fields(family.also)...)
			}
		}
	}
	var calls []Call
	for _, name := range refused {
		c, err := ParseCall(name)
		if err == nil && !slices.Contains(calls, c) && !slices.Contains(f.Allow, c) {
			calls = append(calls, c)
		}
	}
	return calls
}

// activeGuards returns the guards that apply in addition to the refused calls.
func (f Filter) activeGuards(refused []Call) (held []guard) {
	has := func(calls []Call, name string) bool {
		return slices.ContainsFunc(calls, func(c Call) bool { return c.name == name })
	}
	for _, g := range guards {
		if has(refused, g.named) && !has(refused, g.call) && !has(f.Allow, g.call) {
			held = append(held, g)
		}
	}
	return held
}

// WithAllowed returns a filter that also permits these calls.
func (f Filter) WithAllowed(calls []Call) Filter {
	f.Allow = append(slices.Clone(f.Allow), calls...)
	return f
}

// essential are the calls that jacamar needs to start a shell, or the C library to
// start a program.
const essential = "chdir clone close dup3 execve exit exit_group fcntl futex getppid mmap mprotect munmap openat pipe2 prctl read" +
	" rt_sigaction rt_sigprocmask rt_sigreturn setsid wait4 write"

// MissingEssentials returns the refused calls that every job needs to start.
func (f Filter) MissingEssentials() (names []string) {
	refused := f.Refused()
	for _, name := range strings.Fields(essential) {
		c, err := ParseCall(name)
		if err == nil && (slices.Contains(refused, c) || f.OnlyAllowed && !slices.Contains(f.Allow, c)) {
			names = append(names, name)
		}
	}
	return names
}
