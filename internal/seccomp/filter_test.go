package seccomp

import (
	"testing"

	"golang.org/x/sys/unix"
)

// system is the kernel's input to a filter for one call (struct seccomp_data).
type system struct {
	arch, number uint32
	second       uint64
	args         [6]uint64 // with the second in it unless they are given
}

// decide runs a program as the kernel would. It implements the instructions that
// filters use, and fails the test on any other.
func decide(t *testing.T, program []unix.SockFilter, s system) uint32 {
	t.Helper()
	var a uint32
	for pc := 0; pc < len(program); pc++ {
		switch i := program[pc]; i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = s.field(t, i.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			pc += jump(a == i.K, i)
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			pc += jump(a&i.K != 0, i)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			pc += jump(a >= i.K, i)
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(i.K)
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			t.Fatalf("instruction %d is %#x", pc, i.Code)
		}
	}
	t.Fatal("the program ended without a verdict")
	return 0
}

// field returns the 32 bits at an offset of struct seccomp_data.
func (s system) field(t *testing.T, offset uint32) uint32 {
	t.Helper()
	s.args[1] |= s.second
	switch {
	case offset == offsetNumber:
		return s.number
	case offset == offsetArch:
		return s.arch
	case offset >= offsetArgs && (offset-offsetArgs)%argSize == 0:
		return uint32(s.args[(offset-offsetArgs)/argSize])
	}
	t.Fatalf("the program reads offset %d", offset)
	return 0
}

func jump(holds bool, i unix.SockFilter) int {
	if holds {
		return int(i.Jt)
	}
	return int(i.Jf)
}

func call(t *testing.T, name string) Call {
	t.Helper()
	c, err := ParseCall(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestVerdicts(t *testing.T) {
	var none Filter
	block := Filter{Block: []Call{call(t, "mkdirat"), call(t, "bpf")}}
	only := Filter{OnlyAllowed: true, Allow: []Call{call(t, "read"), call(t, "ioctl")}, Block: []Call{call(t, "write")}}
	own := func(name string, second uint64) system {
		return system{arch: nativeArch, number: call(t, name).number, second: second}
	}
	for name, c := range map[string]struct {
		filter Filter
		system system
		want   uint32
	}{
		"nothing blocked":                     {none, own("mkdirat", 0), permitted},
		"an ordinary ioctl":                   {none, own("ioctl", unix.TIOCGWINSZ), permitted},
		"TIOCSTI":                             {none, own("ioctl", unix.TIOCSTI), refused},
		"TIOCLINUX":                           {none, own("ioctl", unix.TIOCLINUX), refused},
		"TIOCSTI with dirt in the high half":  {none, own("ioctl", 1<<32|unix.TIOCSTI), refused},
		"TIOCSTI's number of another call":    {none, own("read", unix.TIOCSTI), permitted},
		"an unknown architecture":             {none, system{arch: unix.AUDIT_ARCH_S390X, number: 54}, absent},
		"the first blocked call":              {block, own("mkdirat", 0), refused},
		"the last blocked call":               {block, own("bpf", 0), refused},
		"a call with others blocked":          {block, own("read", 0), permitted},
		"TIOCSTI with blocked calls":          {block, own("ioctl", unix.TIOCSTI), refused},
		"an ioctl with blocked calls":         {block, own("ioctl", unix.TIOCGWINSZ), permitted},
		"an allowed call":                     {only, own("read", 0), permitted},
		"a call that is not allowed":          {only, own("openat", 0), refused},
		"a call that is blocked":              {only, own("write", 0), refused},
		"an allowed ioctl":                    {only, own("ioctl", unix.TIOCGWINSZ), permitted},
		"TIOCSTI where ioctl is allowed":      {only, own("ioctl", unix.TIOCSTI), refused},
		"a number that no call has":           {only, system{arch: nativeArch, number: 5000}, refused},
		"a number that no call has, at large": {none, system{arch: nativeArch, number: 5000}, permitted},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decide(t, c.filter.Program(), c.system); got != c.want {
				t.Errorf("verdict %#x, want %#x", got, c.want)
			}
		})
	}
}

// TestForeignCalls tries the other instruction sets that the kernel supports: a
// filter for one of them could be bypassed by another.
func TestForeignCalls(t *testing.T) {
	for _, a := range foreignABIs {
		for name, c := range map[string]struct {
			filter         Filter
			number, second uint32
			want           uint32
		}{
			"TIOCSTI":           {Filter{}, a.ioctl, unix.TIOCSTI, refused},
			"TIOCLINUX":         {Filter{}, a.ioctl, unix.TIOCLINUX, refused},
			"an ordinary ioctl": {Filter{}, a.ioctl, unix.TIOCGWINSZ, permitted},
			"another call":      {Filter{}, a.ioctl + 1, unix.TIOCSTI, permitted},
			"under a list":      {Filter{Block: []Call{call(t, "bpf")}}, a.ioctl + 1, 0, absent},
			"under block_all":   {Filter{OnlyAllowed: true}, a.ioctl + 1, 0, absent},
		} {
			if got := decide(t, c.filter.Program(), system{arch: a.arch, number: c.number, second: uint64(c.second)}); got != c.want {
				t.Errorf("%s: verdict %#x, want %#x", name, got, c.want)
			}
		}
	}
	if secondABI != 0 {
		for _, number := range []uint32{secondABI, secondABI + 514, 1<<32 - 1} {
			if got := decide(t, Filter{}.Program(), system{arch: nativeArch, number: number, second: unix.TIOCSTI}); got != absent {
				t.Errorf("call %#x of the second ABI: verdict %#x", number, got)
			}
		}
	}
}

func TestIsDefault(t *testing.T) {
	for _, c := range []struct {
		filter Filter
		want   bool
	}{
		{Filter{}, true},
		{Filter{Allow: []Call{call(t, "read")}}, true},
		{Filter{OnlyAllowed: true}, false},
		{Filter{Block: []Call{call(t, "read")}}, false},
	} {
		if c.filter.IsDefault() != c.want {
			t.Errorf("%+v: %v", c.filter, !c.want)
		}
	}
}

// TestEveryCallCanBeListed also bounds the program: the kernel accepts 4096
// instructions (BPF_MAXINSNS).
func TestEveryCallCanBeListed(t *testing.T) {
	all := allCalls()
	f := Filter{OnlyAllowed: true, Allow: all, Block: all}
	if n := len(f.Program()); n > 4096 {
		t.Errorf("%d instructions", n)
	}
	seen := map[string]bool{}
	for _, c := range all {
		if seen[c.name] {
			t.Errorf("%s is listed twice", c.name)
		}
		seen[c.name] = true
		back, err := ParseCall(c.String())
		if err != nil || back != c {
			t.Errorf("%s: %v %v", c, back, err)
		}
	}
	if len(all) < 300 {
		t.Errorf("only %d calls", len(all))
	}
}

func TestParseCallRefuses(t *testing.T) {
	for _, name := range []string{"", "fork_bomb", "READ", "SYS_read", " read", "read\n", "0", "socketcall"} {
		if c, err := ParseCall(name); err == nil {
			t.Errorf("%q is %v", name, c)
		}
	}
}

func TestCallText(t *testing.T) {
	var c Call
	if err := c.UnmarshalText([]byte("ptrace")); err != nil || c != call(t, "ptrace") {
		t.Errorf("%v %v", c, err)
	}
	if text, err := c.MarshalText(); err != nil || string(text) != "ptrace" {
		t.Errorf("%s %v", text, err)
	}
	if err := c.UnmarshalText([]byte("nonsense")); err == nil {
		t.Error("an invalid name was accepted")
	}
}
