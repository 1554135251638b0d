package inherit

import (
	"os"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// Thread is a thread of this process that starts one program and ends. The kernel
// keeps credentials, scheduling and filters by thread: what this one gives up, its
// program lacks, and the rest of the process keeps.
type Thread struct {
	work chan func()
	used atomic.Bool
	// uid is the account's; it is known when the thread starts its program.
	uid job.UID
	// login is the thread's own file in /proc, nil where it could not be opened yet.
	login *os.File
}

// NewThread starts a thread, which waits for its work. An ordinary process makes it
// before it makes itself undumpable: from then on its files in /proc are root's
// (PR_SET_DUMPABLE in prctl(2)).
func NewThread() *Thread {
	t, ready := &Thread{work: make(chan func())}, make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		if dumpable, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); ordinary(dumpable, os.Geteuid()) {
			t.login, _ = openOwn(loginUID)
			_ = raiseOOMScore(t, nil) // Shed tries again and reports
		}
		close(ready)
		work := <-t.work
		work()
	}()
	<-ready
	return t
}

// ordinary reports whether a process may write its own files in /proc as long as it is
// dumpable, and not when it has given that up.
func ordinary(dumpable, euid int) bool { return dumpable == 1 && euid != 0 }

// Run runs f on the thread, with which the thread ends. When it has ended already,
// f runs on another one.
func (t *Thread) Run(f func(*Thread) (pid int, err error)) (pid int, err error) {
	if t == nil || t.used.Swap(true) {
		return NewThread().Run(f)
	}
	done := make(chan struct{})
	t.work <- func() {
		pid, err = f(t)
		close(done)
	}
	<-done
	return pid, err
}
