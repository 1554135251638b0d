package seccomp

import "golang.org/x/sys/unix"

// Filter says which system calls a job may not make.
type Filter struct {
	// OnlyAllowed refuses everything but Allow; otherwise only Block is refused, with
	// what does the same (Refused), but for Allow.
	OnlyAllowed bool   `json:"only_allowed,omitempty"`
	Allow       []Call `json:"allow,omitempty"`
	Block       []Call `json:"block,omitempty"`
}

// Plain reports whether the filter has nothing but what every filter has.
func (f Filter) Plain() bool { return !f.OnlyAllowed && len(f.Block) == 0 }

// Verdicts (seccomp(2)). A call of a foreign instruction set, which a list of
// this one's calls says nothing about, does not exist.
const (
	permitted = unix.SECCOMP_RET_ALLOW
	refused   = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	absent    = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// Offsets in struct seccomp_data. Of an argument only the low half is looked at, as
// the kernel does with each that is looked at here; all architectures here have it
// first.
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
	for _, a := range foreign {
		body := []unix.SockFilter{verdict(absent)}
		if f.Plain() {
			body = append([]unix.SockFilter{load(offsetNumber)}, append(terminal(a.ioctl), verdict(permitted))...)
		}
		p = append(append(p, unless(a.arch, len(body))), body...)
	}
	p = append(p, unless(native, 1), skip(1), verdict(absent), load(offsetNumber))
	if secondABI != 0 {
		p = append(p, below(secondABI), verdict(absent))
	}
	p = append(p, terminal(unix.SYS_IOCTL)...)
	if f.OnlyAllowed {
		return append(p, f.permitting()...)
	}
	return append(p, f.refusing()...)
}

// permitting permits the list and nothing else.
func (f Filter) permitting() (p []unix.SockFilter) {
	for _, c := range f.Allow {
		p = append(p, unless(c.number, 1), verdict(permitted))
	}
	return append(p, verdict(refused))
}

// refusing refuses the list. Beside one, calls that are newer than the table do not
// exist: nothing is known of what they do.
func (f Filter) refusing() (p []unix.SockFilter) {
	if f.Plain() {
		return []unix.SockFilter{verdict(permitted)}
	}
	p = append(p, below(newest()+1), verdict(absent))
	calls := f.Refused()
	for _, c := range calls {
		p = append(p, unless(c.number, 1), verdict(refusalOf(c.name)))
	}
	for _, g := range f.guarded(calls) {
		p = append(p, g.program()...)
	}
	return append(p, verdict(permitted))
}

// refusalOf a call. The C library tries clone3 first, and clone only where there is
// no clone3.
func refusalOf(name string) uint32 {
	if name == "clone3" {
		return absent
	}
	return refused
}

// newest is the highest number that a call has.
func newest() (n uint32) {
	for _, c := range calls {
		n = max(n, c.number)
	}
	return n
}

// program leaves the number of the call loaded.
func (g guard) program() []unix.SockFilter {
	c, err := ParseCall(g.call)
	if err != nil {
		return nil
	}
	if g.mask == 1<<32-1 {
		return []unix.SockFilter{unless(c.number, 1), verdict(refusalOf(c.name))}
	}
	matches := none(g.mask, 1)
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

// terminal refuses the two ioctls of terminal injection, and leaves the number
// of the call loaded.
func terminal(ioctl uint32) []unix.SockFilter {
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

// unless jumps over n instructions when the loaded value is another one.
func unless(value uint32, n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: uint8(n), K: value}
}

// none jumps over n instructions when the loaded value has no bit of the mask.
func none(mask uint32, n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jf: uint8(n), K: mask}
}

// below jumps over one instruction when the loaded value is less than limit.
func below(limit uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jf: 1, K: limit}
}

func skip(n uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: n}
}

// architecture is another instruction set that this machine's kernel runs, with
// its number of ioctl(2).
type architecture struct{ arch, ioctl uint32 }
