package seccomp

import "golang.org/x/sys/unix"

// Filter says which system calls a job may not make.
type Filter struct {
	// OnlyAllowed refuses everything but Allow; otherwise only Block is refused.
	OnlyAllowed bool   `json:"only_allowed,omitempty"`
	Allow       []Call `json:"allow,omitempty"`
	Block       []Call `json:"block,omitempty"`
}

// Plain tells whether the filter has nothing but what every filter has.
func (f Filter) Plain() bool { return !f.OnlyAllowed && len(f.Block) == 0 }

// Verdicts (seccomp(2)). A call of a foreign instruction set, which a list of
// this one's calls says nothing about, does not exist.
const (
	permitted = unix.SECCOMP_RET_ALLOW
	refused   = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	absent    = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// Offsets in struct seccomp_data. Of the second argument only the low half is
// looked at, as the kernel's ioctl does; all architectures here have it first.
const (
	offsetNumber    = 0
	offsetArch      = 4
	offsetSecondArg = 16 + 8
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
	for _, c := range f.Block {
		p = append(p, unless(c.number, 1), verdict(refused))
	}
	if !f.OnlyAllowed {
		return append(p, verdict(permitted))
	}
	for _, c := range f.Allow {
		p = append(p, unless(c.number, 1), verdict(permitted))
	}
	return append(p, verdict(refused))
}

// terminal refuses the two ioctls of terminal injection, and leaves the number
// of the call loaded.
func terminal(ioctl uint32) []unix.SockFilter {
	return []unix.SockFilter{
		unless(ioctl, 6),
		load(offsetSecondArg),
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
