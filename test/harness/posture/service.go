package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// serve sets all attributes that a service can have in addition to its account, as far
// as this process may, becomes the account and runs the command. It lists on standard
// error what it could not set.
func serve(uid, gid, groups, login string, command []string) error {
	if login != "" {
		if err := os.WriteFile("/proc/self/loginuid", []byte(login), 0); err != nil {
			return err
		}
	}
	for _, h := range hostileSettings {
		if err := h.set(); err != nil {
			fmt.Fprintf(os.Stderr, "posture: no %s: %v\n", h.what, err)
		}
	}
	if err := become(uid, gid, groups); err != nil {
		return err
	}
	if err := hostileKeyring(); err != nil {
		fmt.Fprintf(os.Stderr, "posture: no keyring: %v\n", err)
	}
	program, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return syscall.Exec(program, command, os.Environ())
}

// hostileSettings are the attributes to set, the policy after the nice value that it hides.
var hostileSettings = []struct {
	what string
	set  func() error
}{
	{"nice value", func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -10) }},
	{"I/O priority", func() error { return call(unix.SYS_IOPRIO_SET, 1, 0, 1<<13|2) }},
	{"out-of-memory score", func() error { return os.WriteFile("/proc/self/oom_score_adj", []byte("-500"), 0) }},
	{"timer slack", func() error { return unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }},
	{"execution domain", func() error { return call(unix.SYS_PERSONALITY, 0x0040000, 0, 0) }},
	{"huge pages", func() error { return unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0) }},
	{"merging of pages", func() error { return unix.Prctl(unix.PR_SET_MEMORY_MERGE, 1, 0, 0, 0) }},
	{"blocked signals", func() error {
		var set unix.Sigset_t
		set.Val[0] = 1<<(unix.SIGTERM-1) | 1<<(unix.SIGUSR1-1)
		return unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil)
	}},
	{"core dump filter", func() error { return os.WriteFile("/proc/self/coredump_filter", []byte("0x7f"), 0) }},
	{"umask", func() error { unix.Umask(0o007); return nil }},
	{"descriptors", func() error {
		fd, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0)
		return errors.Join(err, unix.Dup2(fd, 9))
	}},
	{"scheduling policy", func() error {
		parameters := struct{ priority int32 }{1}
		return call(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_RR, uintptr(unsafe.Pointer(&parameters)))
	}},
}

// hostileKeyring joins a session keyring with a key, as a service has one
// (KeyringMode= in systemd.exec(5)).
func hostileKeyring() error {
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil {
		return err
	}
	return keys("add")
}

func become(uid, gid, groups string) error {
	u, err := strconv.Atoi(uid)
	if err != nil {
		return err
	}
	g, err := strconv.Atoi(gid)
	if err != nil {
		return err
	}
	if u == os.Getuid() {
		return nil
	}
	var list []int
	for text := range strings.SplitSeq(groups, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		list = append(list, n)
	}
	return errors.Join(syscall.Setgroups(list), syscall.Setgid(g), syscall.Setuid(u))
}

func call(number, a, b, c uintptr) error {
	if _, _, errno := unix.RawSyscall(number, a, b, c); errno != 0 {
		return errno
	}
	return nil
}
