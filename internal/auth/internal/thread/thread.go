// Package thread runs code with the ids of another account. The kernel keeps ids,
// groups, capabilities and no_new_privs by thread (nptl(7) makes them a process's):
// what one thread takes or gives up, and what it opens and starts, leaves the rest
// of the process as it is.
package thread

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/crash"
)

// IDs are the ids of an account. A nil *IDs is this process's own.
type IDs struct {
	UID, GID uint32
	// Groups are the supplementary groups; an empty list is none.
	Groups []int
}

// Run runs f on a new thread that ends with it, and returns its error. Goroutines
// that f starts run on other threads.
func Run(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() != unix.Getpid() {
			done <- crash.Recovered(f)
			return
		}
		// The main thread cannot end, and its ids decide who may signal the process.
		// While this goroutine holds it, another one gets another thread.
		defer runtime.UnlockOSThread()
		done <- Run(f)
	}()
	return <-done
}

// Take gives all ids, real, effective and saved, and the groups to the calling
// thread, which must be one of Run's. It needs CAP_SETUID and CAP_SETGID
// (setresuid(2)). The order is that of setpriv(1): the right to change groups may
// go with the user id. A thread that Take failed on must not be used.
func (i *IDs) Take() error {
	if i == nil {
		return nil
	}
	if err := unix.Setgroups(i.Groups); err != nil {
		return fmt.Errorf("cannot take the groups of uid %d: %w", i.UID, err)
	}
	u, g := uintptr(i.UID), uintptr(i.GID)
	return set(i.UID, ids{unix.SYS_SETRESGID, g, g, g}, ids{unix.SYS_SETRESUID, u, u, u})
}

// Open runs f, which is to work on files, with these ids as the effective ones of
// the calling thread, and takes them back. The real ids stay, so that the runner
// may still signal this process, and so do the groups. With nil f runs as it is.
//
// Open panics if the thread cannot get its own ids back, which the kernel never
// refuses (setresuid(2)): nothing may go on with those of another account.
func (i *IDs) Open(f func() error) error {
	if i == nil {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	uid, gid := unix.Geteuid(), unix.Getegid()
	defer func() {
		if err := effective(uint32(uid), uint32(gid)); err != nil {
			panic(crash.Unrecoverable{Err: err})
		}
	}()
	if err := effective(i.UID, i.GID); err != nil {
		return err
	}
	return f()
}

// effective goes by way of the real user id: where that is root's, it brings back
// the right to change the group.
func effective(uid, gid uint32) error {
	const keep = ^uintptr(0)
	real := uintptr(unix.Getuid())
	return set(uid,
		ids{unix.SYS_SETRESUID, keep, real, keep}, ids{unix.SYS_SETRESGID, keep, uintptr(gid), keep}, ids{unix.SYS_SETRESUID, keep, uintptr(uid), keep})
}

// ids is a system call that changes them for the calling thread. The functions of
// package unix with these names change those of every thread.
type ids struct{ call, real, effective, saved uintptr }

// set makes the calls, and takes back what the kernel does to the whole process
// when one thread changes its ids: it sets the process's flag to fs.suid_dumpable
// (proc(5)), which is 1 on machines where setuid programs are debugged.
func set(uid uint32, changes ...ids) error {
	for _, c := range changes {
		if _, _, errno := unix.RawSyscall(c.call, c.real, c.effective, c.saved); errno != 0 {
			return fmt.Errorf("cannot take the ids of uid %d: %w", uid, errno)
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot stay undumpable: %w", err)
	}
	return nil
}
