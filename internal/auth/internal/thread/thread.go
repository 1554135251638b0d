// Package thread runs code with the ids of another account. For the kernel, ids,
// groups, capabilities and no_new_privs are attributes of a thread; the C library
// applies them to the process (nptl(7)). A change on one thread does not affect the
// rest of the process.
package thread

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/job"
)

// IDs are the ids of an account. A nil *IDs means those of this process.
type IDs struct {
	UID, GID uint32
	// Groups are the supplementary groups; an empty list is none.
	Groups []int
}

// Of returns the ids of an account.
func Of(a job.Account) *IDs {
	ids := &IDs{UID: uint32(a.UID), GID: uint32(a.GID)}
	for _, g := range a.Groups {
		ids.Groups = append(ids.Groups, int(g))
	}
	return ids
}

// Run runs f on a new thread, which then ends, and returns the error of f. Goroutines
// that f starts run on other threads.
func Run(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() != unix.Getpid() {
			done <- crash.Recovered(f)
			return
		}
		// The main thread cannot end, and its ids decide which accounts may signal the
		// process. While this goroutine holds it, a new goroutine gets another thread.
		defer runtime.UnlockOSThread()
		done <- Run(f)
	}()
	return <-done
}

// Take sets all ids (real, effective and saved) and the groups of the calling thread,
// which must be one of Run. It needs CAP_SETUID and CAP_SETGID (setresuid(2)). The
// order is that of setpriv(1): a change of the user id can remove the right to change
// groups. A thread must not be used after Take has failed on it.
func (i *IDs) Take() error {
	if i == nil {
		return nil
	}
	if err := unix.Setgroups(i.Groups); err != nil {
		return fmt.Errorf("cannot take the groups of uid %d: %w", i.UID, err)
	}
	u, g := uintptr(i.UID), uintptr(i.GID)
	return setIDs(i.UID, idCall{unix.SYS_SETRESGID, g, g, g}, idCall{unix.SYS_SETRESUID, u, u, u})
}

// WithIDs runs f, which accesses files, with these ids as the effective ones of the
// calling thread, and then restores them. The real ids, by which the runner may signal
// this process, and the groups do not change. With nil it only calls f.
//
// WithIDs panics if the thread cannot restore its ids, which the kernel never refuses
// (setresuid(2)): the process must not continue with those of another account.
func (i *IDs) WithIDs(f func() error) error {
	if i == nil {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	uid, gid := unix.Geteuid(), unix.Getegid()
	defer func() {
		if err := setEffective(uint32(uid), uint32(gid)); err != nil {
			panic(crash.Unrecoverable{Err: err})
		}
	}()
	if err := setEffective(i.UID, i.GID); err != nil {
		return err
	}
	return f()
}

// setEffective first restores the real user id: if that is root, it restores the right
// to change the group.
func setEffective(uid, gid uint32) error {
	const keep = ^uintptr(0)
	real := uintptr(unix.Getuid())
	return setIDs(uid,
		idCall{unix.SYS_SETRESUID, keep, real, keep}, idCall{unix.SYS_SETRESGID, keep, uintptr(gid), keep}, idCall{unix.SYS_SETRESUID, keep, uintptr(uid), keep})
}

// idCall is a system call that changes ids of the calling thread. The functions of
// package unix with these names change those of every thread.
type idCall struct{ call, real, effective, saved uintptr }

// setIDs executes the calls and makes the process undumpable again: when one thread
// changes its ids, the kernel sets the flag of the whole process to fs.suid_dumpable
// (proc(5)), which is 1 on machines where setuid programs are debugged.
func setIDs(uid uint32, changes ...idCall) error {
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
