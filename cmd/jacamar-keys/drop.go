package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/job"
)

// dropPrivileges permanently gives up all privileges before data from a server is
// read. A root process becomes nobody; other processes of nobody cannot read its
// memory, because it executes no program and so stays undumpable (prctl(2)).
func dropPrivileges() error {
	parent := os.Getppid()
	if err := noNewPrivs(); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	full, err := isFullRoot()
	if err == nil && full {
		err = becomeNobody()
	}
	if err != nil {
		return fmt.Errorf("cannot give up root: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return fmt.Errorf("cannot give up capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot stay undumpable: %w", err)
	}
	// The kernel cleared the signal when the account changed; jacamar-auth may have
	// ended since.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("cannot set the parent-death signal: %w", err)
	}
	if os.Getppid() != parent {
		return errors.New("jacamar-auth has ended")
	}
	return nil
}

// isFullRoot reports whether this process is root of the machine with the
// capabilities to change ids. Root in a user namespace with other ids, or in a
// container without these capabilities, has no account to give up.
func isFullRoot() (bool, error) {
	held, err := capability.Effective()
	if err != nil || os.Geteuid() != 0 || !held.Has(unix.CAP_SETUID) || !held.Has(unix.CAP_SETGID) {
		return false, err
	}
	foreign, err := capability.UserNamespaceMap()
	return foreign == "", err
}

func becomeNobody() error {
	if err := syscall.Setgroups([]int{}); err != nil {
		return err
	}
	if err := syscall.Setresgid(job.Nobody, job.Nobody, job.Nobody); err != nil {
		return err
	}
	return syscall.Setresuid(job.Nobody, job.Nobody, job.Nobody)
}

// Capabilities and no_new_privs are attributes of a thread, so that the functions
// below call the kernel on all threads.

func dropCapabilities() error {
	head, none := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&none[0])), 0)
	return asError(errno)
}

func noNewPrivs() error {
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	return asError(errno)
}

func asError(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
