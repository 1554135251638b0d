package seccomp

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NoNewPrivs keeps the calling thread, and what it starts, from ever gaining a
// privilege by execve(2): setuid bits and file capabilities mean nothing to it
// (PR_SET_NO_NEW_PRIVS in prctl(2)). There is no way back.
func NoNewPrivs() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	return nil
}

// Load puts the filter on the calling thread, to which the goroutine must be
// locked, and on what that thread starts. It needs NoNewPrivs or CAP_SYS_ADMIN.
// There is no way back.
func (f Filter) Load() error { return f.load(0) }

// LoadAll puts the filter on all threads of this process, and with it the calling
// thread's no_new_privs (SECCOMP_FILTER_FLAG_TSYNC in seccomp(2)).
func (f Filter) LoadAll() error { return f.load(unix.SECCOMP_FILTER_FLAG_TSYNC) }

func (f Filter) load(flags uintptr) error {
	code := f.Program()
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(code)
	switch {
	case errno != 0:
		return fmt.Errorf("cannot set the system-call filter: %w", errno)
	case thread != 0:
		return fmt.Errorf("cannot set the system-call filter: thread %d has another one", thread)
	}
	return nil
}
