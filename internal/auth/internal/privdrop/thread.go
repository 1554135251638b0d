package privdrop

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/seccomp"
)

// onThread runs f on a thread that ends with it. The kernel keeps capabilities,
// signal masks and filters by thread: what one gives up for the child that it
// makes, the rest of this process keeps.
func onThread(f func() (int, error)) (int, error) {
	type outcome struct {
		pid int
		err error
	}
	done := make(chan outcome)
	go func() {
		runtime.LockOSThread() // never unlocked
		pid, err := f()
		done <- outcome{pid, err}
	}()
	o := <-done
	return o.pid, o.err
}

// shed gives up on this thread what the account shall not get.
func (l Launcher) shed() error {
	if err := capability.DropInheritable(); err != nil {
		return err
	}
	var none unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil); err != nil {
		return fmt.Errorf("cannot unblock signals: %w", err)
	}
	if l.Strategy != Setuid {
		// sudo needs its own powers, and changes to the account with them.
		return nil
	}
	return l.confine()
}

// confine does what only a privileged process can: the account's own processes
// could not empty their bounding set, nor filter themselves without no_new_privs.
func (l Launcher) confine() error {
	held, err := capability.Effective()
	if err != nil {
		return fmt.Errorf("cannot read this process's capabilities: %w", err)
	}
	if l.Filter && held.Has(unix.CAP_SYS_ADMIN) {
		if err := (seccomp.Filter{}).Load(); err != nil {
			return err
		}
	}
	if l.KeepBoundingSet || !held.Has(unix.CAP_SETPCAP) {
		return nil
	}
	return dropBounding(l.LowPorts)
}
