// Package syscalls makes system calls fail for a program and all that it starts, by a
// seccomp filter (seccomp(2)), as a file system, a kernel or a container refuses them.
//
// A test binary runs itself as the program that sets the filter: its TestMain begins
// with syscalls.Main().
package syscalls

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Refusal is a system call and the error that it fails with.
type Refusal struct {
	Call  int
	Errno unix.Errno
	// Argument and Values limit it to calls whose argument of that number, counted
	// from 0, is one of the values; with Nonzero to those where it is not 0.
	Argument int
	Values   []uint32
	Nonzero  bool
	// Above extends it to all calls of higher numbers.
	Above bool
}

// first is the argument by which a test binary is such a program.
const first = "-set-a-filter-and-run"

// Refusing returns the command that runs the command line behind it under a filter.
// It needs root: the filter must not set no_new_privs.
func Refusing(t testing.TB, refusals ...Refusal) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can set a filter that leaves privileges as they are")
	}
	return command(t, refusals)
}

func command(t testing.TB, refusals []Refusal) []string {
	t.Helper()
	text, err := json.Marshal(refusals)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, first, string(text)}
}

// Main has no effect in a test binary that was started as such, and does not return in
// one that has to set a filter.
func Main() {
	if len(os.Args) < 4 || os.Args[1] != first {
		return
	}
	err := set(os.Args[2])
	if err == nil {
		err = syscall.Exec(os.Args[3], os.Args[3:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "syscalls:", err)
	os.Exit(125)
}

// set installs the filter on all threads. Only root can do that without no_new_privs.
func set(text string) error {
	var refusals []Refusal
	if err := json.Unmarshal([]byte(text), &refusals); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		if _, _, number := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); number != 0 {
			return fmt.Errorf("no_new_privs: %w", number)
		}
	}
	program := []unix.SockFilter{load(0)}
	for _, r := range refusals {
		program = append(program, r.filter()...)
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, number := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if number != 0 {
		return fmt.Errorf("seccomp: %w", number)
	}
	return nil
}

// load loads a field of struct seccomp_data, whose arguments begin at byte 16.
func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// filter is the part of the program for one call. The number of the call is loaded
// before it and after it.
func (r Refusal) filter() []unix.SockFilter {
	equal := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no, K: k}
	}
	fail := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(r.Errno)}
	body := []unix.SockFilter{load(16 + 8*uint32(r.Argument))} // little endian: the low half comes first
	switch {
	case r.Nonzero:
		body = append(body, equal(0, 1, 0), fail)
	case len(r.Values) == 0:
		body = []unix.SockFilter{fail}
	}
	for _, v := range r.Values {
		body = append(body, equal(v, 0, 1), fail)
	}
	body = append(body, load(0))
	this := equal(uint32(r.Call), 0, uint8(len(body)))
	if r.Above {
		this.Code = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	}
	return append([]unix.SockFilter{this}, body...)
}
