package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
)

// nobody is the account that owns nothing, on every distribution.
const nobody = 65534

// dropPrivileges gives up permanently what this process could do beyond any account: what a
// server sends is read without. Where it was root it becomes nobody, whose other
// processes cannot look into this one, since it executes nothing any more and so
// stays undumpable (prctl(2)).
func dropPrivileges() error {
	parent := os.Getppid()
	if err := noNewPrivs(); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	powerful, err := mayBecomeAnybody()
	if err == nil && powerful {
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
	// The kernel took it back with the account; jacamar-auth may be gone by now.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("cannot follow jacamar-auth: %w", err)
	}
	if os.Getppid() != parent {
		return errors.New("jacamar-auth is gone")
	}
	return nil
}

// mayBecomeAnybody reports whether root is the machine's, and whole. Any other has
// not the power that would have to be given up: in a user namespace with ids of its
// own, or in a container without these capabilities.
func mayBecomeAnybody() (bool, error) {
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
	if err := syscall.Setresgid(nobody, nobody, nobody); err != nil {
		return err
	}
	return syscall.Setresuid(nobody, nobody, nobody)
}

// The kernel keeps capabilities, and no_new_privs, by thread.

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
