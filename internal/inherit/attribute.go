// Package inherit is the closed list of what a process has from the one that
// started it (fork(2), execve(2), credentials(7)), and of what a job has of each.
//
// The list is one table. What starts jacamar walks it to give up what is not the
// job's (Shed); jacamar walks it to verify that (Verify), and to settle what only
// it can (Settle). A test compares it with the fields of the kernel's structures.
package inherit

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// By is what gives a job the attribute that the list describes.
type By string

// The parties.
const (
	// Kernel: fork(2) or execve(2) resets it, whatever the service had.
	Kernel By = "the kernel"
	// Starter: jacamar-auth or jacamar-noauth, before jacamar is started.
	Starter By = "jacamar-auth"
	// Jacamar: jacamar, before it starts anything of the job.
	Jacamar By = "jacamar"
	// Service: nothing changes it. A job has it as the runner's service has it.
	Service By = "the runner's service"
)

// Attribute is one property that a process inherits from the one that started it.
type Attribute struct {
	Name string
	// Job is what a job has.
	Job string
	// Differs is how that can differ from what a login has, and what to do about
	// it; "" when it cannot.
	Differs string
	By      By

	// shed is run by what starts jacamar, on the thread that does.
	shed func(*Thread, *Start) error
	// settle is run by jacamar, on the thread that starts the job's programs.
	settle func() error
	// verify is run by jacamar, after shed, or after settle where there is one.
	verify func(Start, job.UID) error
}

// verifiedFirst is for the ids, of which a Start contains nothing: jacamar compares
// them with the account before it verifies this list (package dropcheck).
func verifiedFirst(Start, job.UID) error { return nil }

// Start is how jacamar was started: the promises that it verifies.
type Start struct {
	// Sudo: sudo(8) and its PAM session came in between.
	Sudo bool `json:"sudo,omitempty"`
	// NoNewPrivs is set, with nothing left in the capability bounding set when
	// NoBounding is too.
	NoNewPrivs bool `json:"no_new_privs,omitempty"`
	NoBounding bool `json:"no_bounding,omitempty"`
	// Filter is a system-call filter that was set from outside.
	Filter bool `json:"filter,omitempty"`
	// LoginUID is the account's, for the kernel's audit records.
	LoginUID bool `json:"login_uid,omitempty"`
}

// Shed gives up on this thread what the program that it starts must not have.
// uid is the account's. It returns s with the promises that this added.
func (t *Thread) Shed(s Start, uid job.UID) (Start, error) {
	t.uid = uid
	for i := range list {
		if a := &list[i]; a.shed != nil {
			if err := a.shed(t, &s); err != nil {
				return s, fmt.Errorf("cannot give up the %s of the runner's service: %w", a.Name, err)
			}
		}
	}
	return s, nil
}

// Settle prepares this thread, to which the goroutine must be locked, to start
// programs of the job, and verifies the result.
func Settle(s Start, uid job.UID) error {
	for i := range list {
		if err := list[i].settled(s, uid); err != nil {
			return fmt.Errorf("cannot give the job a %s of its own: %w", list[i].Name, err)
		}
	}
	return nil
}

func (a *Attribute) settled(s Start, uid job.UID) error {
	if a.settle == nil {
		return nil
	}
	if err := a.settle(); err != nil {
		return err
	}
	if a.verify == nil {
		return nil
	}
	return a.verify(s, uid)
}

// Verify returns an error when an attribute of this process is not as s promises.
func Verify(s Start, uid job.UID) error {
	for i := range list {
		a := &list[i]
		if a.verify == nil || a.settle != nil {
			continue
		}
		if err := a.verify(s, uid); err != nil {
			return fmt.Errorf("the %s of the job would be the runner's: %w", a.Name, err)
		}
	}
	return nil
}

// List returns the whole list.
func List() []Attribute { return slices.Clone(list[:]) }

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
