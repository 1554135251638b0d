// Package process starts the programs of a job and ends every process that they
// leave. The process that uses it becomes a child subreaper (see
// PR_SET_CHILD_SUBREAPER in prctl(2)): what a job leaves behind, however it was
// detached, becomes a child of this process.
package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reaper is all descendants of this process. It alone waits for children: a
// second waiter (os/exec) in the same process would steal exit statuses.
type Reaper struct {
	mu      sync.Mutex
	started *sync.Cond
	own     map[int]chan<- Status
	idle    bool
	// used is whether a program was started.
	used bool
	// alone has a token whenever the last child was collected.
	alone chan struct{}
	// collected has a token whenever some child was.
	collected chan struct{}
	// orders reach the thread that starts programs.
	orders chan order
}

// order is a program to start, and where the outcome goes.
type order struct {
	command Command
	started chan<- outcome
}

type outcome struct {
	process *Process
	err     error
}

// NewReaper makes this process the reaper of its descendants. prepare, optional,
// runs once, on the thread that starts all programs of the family, and settles
// there what the kernel hands on by thread: keyrings, filters, no_new_privs. When
// it fails, nothing can be started.
func NewReaper(prepare func() error) (*Reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("cannot become the reaper of the job's processes: %w", err)
	}
	f := &Reaper{own: map[int]chan<- Status{}, idle: true, alone: make(chan struct{}, 1), collected: make(chan struct{}, 1), orders: make(chan order)}
	f.started = sync.NewCond(&f.mu)
	prepared := make(chan error)
	go f.startAll(prepare, prepared)
	if err := <-prepared; err != nil {
		return nil, err
	}
	go f.reap()
	return f, nil
}

// startAll starts programs from one thread that lives as long as this process:
// the kernel kills a program when the thread that started it ends
// (PR_SET_PDEATHSIG in prctl(2)).
func (f *Reaper) startAll(prepare func() error, prepared chan<- error) {
	runtime.LockOSThread() // never unlocked: what prepare gave up is gone permanently
	var err error
	if prepare != nil {
		err = prepare()
	}
	prepared <- err
	if err != nil {
		return
	}
	for o := range f.orders {
		p, err := f.start(o.command)
		o.started <- outcome{p, err}
	}
}

// Command is a program to start, in a session of its own.
type Command struct {
	Path string
	Args []string // with the program's own name first
	Env  []string
	Dir  string
	// Files become the descriptors 0, 1, 2, …; all others are closed in it.
	Files []*os.File
}

// Process is a started command.
type Process struct {
	PID int
	// Done receives the status, once.
	Done <-chan Status
}

// Start starts c. The kernel kills it should this process die.
func (f *Reaper) Start(c Command) (*Process, error) {
	started := make(chan outcome)
	f.orders <- order{c, started}
	o := <-started
	return o.process, o.err
}

// HasStarted reports whether a program was started.
func (f *Reaper) HasStarted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used
}

func (f *Reaper) start(c Command) (*Process, error) {
	files := make([]uintptr, len(c.Files))
	for i, file := range c.Files {
		files[i] = file.Fd()
	}
	done := make(chan Status, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	pid, err := syscall.ForkExec(c.Path, c.Args, &syscall.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: files,
		Sys: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		err = fmt.Errorf("cannot start %s: %w", c.Path, err)
		if errors.Is(err, unix.EAGAIN) {
			err = refused(err)
		}
		return nil, err
	}
	f.own[pid] = done
	f.idle, f.used = false, true
	f.started.Signal()
	return &Process{PID: pid, Done: done}, nil
}

// reap collects every child that ends: a started one has its status delivered,
// an adopted one is only reaped. The child is looked at first (WNOWAIT) and
// taken under the lock, so that one which ends before Start has noted it is
// not mistaken for a stranger.
func (f *Reaper) reap() {
	for {
		pid, err := peek()
		f.mu.Lock()
		switch {
		case err == nil:
			f.collect(pid)
		case errors.Is(err, unix.ECHILD):
			f.wait()
		}
		f.mu.Unlock()
	}
}

// wait sleeps until something was started; without children none can be adopted.
func (f *Reaper) wait() {
	if len(f.own) > 0 {
		return
	}
	post(f.alone)
	for f.idle = true; f.idle; {
		f.started.Wait()
	}
}

// collect takes a child that has ended, any for -1, and reports whether there was
// one.
func (f *Reaper) collect(pid int) bool {
	var ws unix.WaitStatus
	got, _ := unix.Wait4(pid, &ws, unix.WNOHANG, nil)
	if got <= 0 { // none has ended, or with an error none is left: this call does not block, hence no EINTR
		return false
	}
	if done, ok := f.own[got]; ok {
		delete(f.own, got)
		done <- statusOf(ws)
	}
	post(f.collected)
	return true
}

// collectAll takes those that have ended, up to a number: others may end as fast.
func (f *Reaper) collectAll() {
	for range 1000 {
		if !f.collect(-1) {
			return
		}
	}
}

// post puts a token into c unless there is one.
func post(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// peek waits until some child has ended and leaves it there to be collected.
func peek() (int, error) {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return siginfoPID(&info), err
		}
	}
}
