// Package seccomp compiles the system-call filter of a job (seccomp(2)) and loads
// it. Each filter prevents terminal injection: TIOCSTI and TIOCLINUX let a program
// type into a terminal that it has inherited (CVE-2005-4890, CVE-2023-28339,
// CVE-2023-1523).
//
// A refused call fails with EPERM, an error that programs expect and report.
package seccomp

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

//go:generate go run generate.go

// Filter defines which system calls a job may not make.
type Filter struct {
	// OnlyAllowed refuses all calls except Allow. Otherwise the calls in Block and
	// their equivalents (Refused) are refused, except those in Allow.
	OnlyAllowed bool   `json:"only_allowed,omitempty"`
	Allow       []Call `json:"allow,omitempty"`
	Block       []Call `json:"block,omitempty"`
}

// IsDefault reports whether the filter only has the rules that every filter has.
func (f Filter) IsDefault() bool { return !f.OnlyAllowed && len(f.Block) == 0 }

// Verdicts (seccomp(2)). The lists do not cover calls of a foreign instruction set;
// such calls fail with ENOSYS.
const (
	permitted = unix.SECCOMP_RET_ALLOW
	refused   = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	absent    = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// Offsets in struct seccomp_data. Only the low half of an argument is compared: the
// kernel ignores the high half of those that are compared here. All supported
// architectures store the low half first.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
	argSize      = 8
)

// Program compiles the filter to the classic BPF that the kernel runs before
// each system call.
func (f Filter) Program() []unix.SockFilter {
	p := []unix.SockFilter{load(offsetArch)}
	for _, a := range foreignABIs {
		body := []unix.SockFilter{verdict(absent)}
		if f.IsDefault() {
			body = append([]unix.SockFilter{load(offsetNumber)}, append(refuseTerminalInjection(a.ioctl), verdict(permitted))...)
		}
		p = append(append(p, unless(a.arch, len(body))), body...)
	}
	p = append(p, unless(nativeArch, 1), skip(1), verdict(absent), load(offsetNumber))
	if secondABI != 0 {
		p = append(p, below(secondABI), verdict(absent))
	}
	p = append(p, refuseTerminalInjection(unix.SYS_IOCTL)...)
	if f.OnlyAllowed {
		return append(p, f.allowListProgram()...)
	}
	return append(p, f.blockListProgram()...)
}

// allowListProgram permits only the calls in the list.
func (f Filter) allowListProgram() (p []unix.SockFilter) {
	for _, c := range f.Allow {
		p = append(p, unless(c.number, 1), verdict(permitted))
	}
	return append(p, verdict(refused))
}

// blockListProgram refuses the calls in the list. With a list, calls that are newer
// than the table fail with ENOSYS: they could be equivalents of a refused call.
func (f Filter) blockListProgram() (p []unix.SockFilter) {
	if f.IsDefault() {
		return []unix.SockFilter{verdict(permitted)}
	}
	p = append(p, below(newestNumber()+1), verdict(absent))
	calls := f.Refused()
	for _, c := range calls {
		p = append(p, unless(c.number, 1), verdict(refusalFor(c.name)))
	}
	for _, g := range f.activeGuards(calls) {
		p = append(p, g.program()...)
	}
	return append(p, verdict(permitted))
}

// refusalFor returns the verdict for a refused call. The C library tries clone3 first
// and falls back to clone only on ENOSYS.
func refusalFor(name string) uint32 {
	if name == "clone3" {
		return absent
	}
	return refused
}

// newestNumber is the highest number of a call in the table.
func newestNumber() (n uint32) {
	for _, c := range allCalls() {
		n = max(n, c.number)
	}
	return n
}

// program returns the guard's instructions; they leave the number of the call loaded.
func (g guard) program() []unix.SockFilter {
	c, err := ParseCall(g.call)
	if err != nil {
		return nil
	}
	if g.mask == 1<<32-1 {
		return []unix.SockFilter{unless(c.number, 1), verdict(refusalFor(c.name))}
	}
	matches := unlessAnyBit(g.mask, 1)
	if g.equal {
		matches = unless(g.mask, 1)
	}
	return []unix.SockFilter{
		unless(c.number, 4),
		load(uint32(offsetArgs + g.arg*argSize)),
		matches, verdict(refused),
		load(offsetNumber),
	}
}

// refuseTerminalInjection refuses the two ioctls of terminal injection; it leaves the
// number of the call loaded.
func refuseTerminalInjection(ioctl uint32) []unix.SockFilter {
	return []unix.SockFilter{
		unless(ioctl, 6),
		load(offsetArgs + argSize),
		unless(unix.TIOCSTI, 1), verdict(refused),
		unless(unix.TIOCLINUX, 1), verdict(refused),
		load(offsetNumber),
	}
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func verdict(v uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v}
}

// unless jumps over n instructions if the loaded value differs from value.
func unless(value uint32, n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: uint8(n), K: value}
}

// unlessAnyBit jumps over n instructions if the loaded value has no bit of the mask.
func unlessAnyBit(mask uint32, n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jf: uint8(n), K: mask}
}

// below jumps over one instruction if the loaded value is less than limit.
func below(limit uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jf: 1, K: limit}
}

func skip(n uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: n}
}

// foreignABI is another instruction set that the kernel supports, with its number of
// ioctl(2).
type foreignABI struct{ arch, ioctl uint32 }

// Call is a system call of this machine's architecture.
type Call struct {
	name   string
	number uint32
}

func callTables() [][]Call { return [][]Call{commonCalls[:], ownCalls[:]} }

func allCalls() []Call { return slices.Concat(callTables()...) }

// ParseCall finds a system call by its name, as in syscalls(2).
func ParseCall(name string) (Call, error) {
	for _, table := range callTables() {
		if i := slices.IndexFunc(table, func(c Call) bool { return c.name == name }); i >= 0 {
			return table[i], nil
		}
	}
	return Call{}, fmt.Errorf("%q is not a system call of this machine's architecture", job.Clip(name))
}

// String returns the name.
func (c Call) String() string { return c.name }

// MarshalText implements encoding.TextMarshaler.
func (c Call) MarshalText() ([]byte, error) { return []byte(c.name), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseCall's check.
func (c *Call) UnmarshalText(b []byte) (err error) {
	*c, err = ParseCall(string(b))
	return err
}

// NoNewPrivs disables setuid bits and file capabilities for the calling thread and
// the programs that it starts (PR_SET_NO_NEW_PRIVS in prctl(2)). This is
// irreversible.
func NoNewPrivs() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	return nil
}

// Load applies the filter to the calling thread, to which the goroutine must be
// locked, and to the programs that it starts. It needs NoNewPrivs or CAP_SYS_ADMIN.
// This is irreversible.
func (f Filter) Load() error { return f.load(0) }

// LoadAll applies the filter and the calling thread's no_new_privs to all threads of
// this process (SECCOMP_FILTER_FLAG_TSYNC in seccomp(2)).
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
		return fmt.Errorf("cannot set the system-call filter: thread %d has a different filter", thread)
	}
	return nil
}
